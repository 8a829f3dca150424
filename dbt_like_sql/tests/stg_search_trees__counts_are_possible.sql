-- Fails for states without rollouts, or with more right rollouts than rollouts.
select *
from stg_search_trees
where num_rollouts < 1 or num_correct not between 0 and num_rollouts;
