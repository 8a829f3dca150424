-- Fails for prefixes whose right rollouts are not as many as their numbers.
select *
from int_prefix_outcomes
where len(correct_draws) != num_correct or num_correct > num_rollouts;
