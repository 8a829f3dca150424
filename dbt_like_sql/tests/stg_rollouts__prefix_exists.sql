-- Fails for rollouts from no prefix of a solution, or from a whole solution.
with steps as (
    from stg_steps
    where not is_last
)

select rollouts.*
from stg_rollouts as rollouts
anti join steps using (prefix_id);
