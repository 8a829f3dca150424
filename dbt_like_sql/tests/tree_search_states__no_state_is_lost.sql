-- Fails for states that hang on no root.
select states.*
from stg_search_trees as states
anti join tree_search_states as found
    on states.problem_id = found.problem_id and states.prefix_id = found.prefix_id;
