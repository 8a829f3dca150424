-- Fails for keys that more than one row has: one row per solution.
select
    solution_id,
    count(*) as num_rows
from stg_solutions
group by solution_id
having count(*) > 1;
