-- Fails for states that are not connected to a root.
select states.*
from stg_search_trees as states
anti join tree_search_states as trees
    on states.problem_id = trees.problem_id and states.prefix_id = trees.prefix_id;
