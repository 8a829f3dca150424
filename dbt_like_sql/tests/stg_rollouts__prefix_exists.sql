-- Fails for rollouts from no prefix of a solution, or from a whole solution. A tree search rolls
-- out states of its own as well.
with steps as (
    from stg_steps
    where not is_last
)

select rollouts.*
from stg_rollouts as rollouts
anti join stg_search_trees as states on rollouts.prefix_id = states.prefix_id
anti join steps on rollouts.prefix_id = steps.prefix_id;
