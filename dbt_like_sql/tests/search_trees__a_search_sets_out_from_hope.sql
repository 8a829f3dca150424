-- Fails where a search started from a state below the root without a right rollout.
select *
from search_trees
where num_visits > 0 and num_correct = 0 and depth > 0;
