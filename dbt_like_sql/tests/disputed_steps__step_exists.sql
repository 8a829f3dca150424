-- Fails for steps that no solution has.
select *
from disputed_steps
anti join stg_steps using (step_id);
