-- Fails for states with more right rollouts than rollouts, or without any.
select *
from stg_search_trees
where num_rollouts < 1 or num_correct not between 0 and num_rollouts;
