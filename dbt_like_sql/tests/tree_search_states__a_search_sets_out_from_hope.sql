-- Fails where a search started from a state below the root without a right rollout.
select *
from tree_search_states
where num_visits > 0 and num_correct = 0 and depth > 0;
