-- Fails for more unscored candidates or steps than there are.
select *
from unscored_steps
where
    num_unscored_candidates > least(num_candidates, num_unscored_steps)
    or num_unscored_steps > num_steps;
