-- Fails for steps that are last without having the last number, or the other way round.
select *
from stg_steps
where is_last != (step_index = num_steps);
