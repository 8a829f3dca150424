-- Fails for keys that more than one row has: one row per step and annotator.
select
    step_id,
    annotator,
    count(*) as num_rows
from int_labelled_steps
group by step_id, annotator
having count(*) > 1;
