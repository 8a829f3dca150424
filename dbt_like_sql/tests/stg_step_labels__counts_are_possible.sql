-- Fails for labels with more right rollouts than rollouts.
select *
from stg_step_labels
where num_correct not between 0 and num_rollouts;
