-- Fails for rollouts from no prefix of a solution, or from a whole solution. Where a tree search
-- labels, it rolls out states of its own as well.
with steps as (
    from stg_steps
    where not is_last
)

select rollouts.*
from stg_rollouts as rollouts
anti join steps using (prefix_id)
where not exists (from stg_step_labels where annotator = 'tree_search');
