-- Which states of a problem did the tree search visit, and how good is each? The value of a state
-- is the share of its rollouts that are right; for the root, the share of solutions that are
-- right.
-- Grain: one row per problem and state of its tree.
with recursive tree as (
    select
        problem_id,
        prefix_id,
        0 as depth
    from stg_search_trees
    where parent_id is null
    union all
    select
        states.problem_id,
        states.prefix_id,
        tree.depth + 1 as depth
    from stg_search_trees as states
    inner join tree
        on states.problem_id = tree.problem_id and states.parent_id = tree.prefix_id
)

select
    problems.dataset,
    states.problem_id,
    states.discovery,
    tree.depth,
    states.num_visits,
    states.num_rollouts,
    states.num_correct,
    states.num_correct / states.num_rollouts as state_value,
    states.prefix_text,
    states.prefix_id,
    states.parent_id
from stg_search_trees as states
inner join tree using (problem_id, prefix_id)
inner join stg_problems as problems using (problem_id)
order by problems.dataset, states.problem_id, states.discovery;
