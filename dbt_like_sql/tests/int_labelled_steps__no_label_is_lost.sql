-- Fails for labels without a step, solution or problem.
select labels.*
from stg_step_labels as labels
anti join int_labelled_steps using (step_id, annotator);
