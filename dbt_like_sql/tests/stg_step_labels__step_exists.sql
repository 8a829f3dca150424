-- Fails for labels of no known step.
select *
from stg_step_labels
anti join stg_steps using (step_id);
