-- Fails where the recovered step does not follow the failed step, or does not exist.
select *
from monotonicity_violations
where
    recovered_step <= failed_step
    or recovered_step > num_steps
    or num_recovered_steps not between 1 and num_steps - failed_step;
