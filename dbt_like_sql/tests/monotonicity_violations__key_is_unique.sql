-- Fails for keys that more than one row has: one row per solution and annotator.
select
    solution_id,
    annotator,
    count(*) as num_rows
from monotonicity_violations
group by solution_id, annotator
having count(*) > 1;
