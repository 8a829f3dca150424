-- Fails for rollouts from no prefix of a solution, or from a whole solution. Where a tree search
-- labels a dataset, it rolls out states of its own as well.
with steps as (
    from stg_steps
    where not is_last
),

searched as (
    select distinct problems.dataset
    from stg_step_labels
    inner join stg_steps using (step_id)
    inner join stg_problems as problems using (problem_id)
    where annotator = 'tree_search'
)

select rollouts.*
from stg_rollouts as rollouts
inner join stg_problems as problems using (problem_id)
anti join searched on problems.dataset = searched.dataset
anti join steps on rollouts.prefix_id = steps.prefix_id;
