-- Fails for rows with a null where there must be none.
select *
from tree_search_states
where
    dataset is null
    or problem_id is null
    or depth is null
    or num_visits is null
    or state_value is null
    or prefix_text is null;
