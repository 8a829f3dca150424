-- Fails for rollouts from a prefix that does not exist or is a whole solution. States of the tree
-- search count as prefixes.
with steps as (
    from stg_steps
    where not is_last
)

select rollouts.*
from stg_rollouts as rollouts
anti join stg_search_trees as states on rollouts.prefix_id = states.prefix_id
anti join steps on rollouts.prefix_id = steps.prefix_id;
