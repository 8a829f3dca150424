-- Fails for keys that more than one row has: one row per step.
select
    step_id,
    count(*) as num_rows
from disputed_steps
group by step_id
having count(*) > 1;
