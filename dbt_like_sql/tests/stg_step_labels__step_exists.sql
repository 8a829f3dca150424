-- Fails for labels of a step that does not exist.
select *
from stg_step_labels
anti join stg_steps using (step_id);
