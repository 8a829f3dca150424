-- Fails for recoveries before the failure, behind the last step, or of no step.
select *
from monotonicity_violations
where
    recovered_step <= failed_step
    or recovered_step > num_steps
    or num_recovered_steps not between 1 and num_steps - failed_step;
