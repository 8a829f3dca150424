-- Fails for steps where is_last contradicts the step number.
select *
from stg_steps
where is_last != (step_index = num_steps);
