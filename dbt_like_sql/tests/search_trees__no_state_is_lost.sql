-- Fails for states that hang on no root.
select states.*
from stg_search_trees as states
anti join search_trees as found
    on states.problem_id = found.problem_id and states.prefix_id = found.prefix_id;
