-- Fails for labels that find no step, solution or problem to join.
select labels.*
from stg_step_labels as labels
anti join int_labelled_steps using (step_id, annotator);
