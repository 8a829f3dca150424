-- Fails for prefixes where the number of listed right rollouts differs from num_correct.
select *
from int_prefix_outcomes
where len(correct_draws) != num_correct or num_correct > num_rollouts;
