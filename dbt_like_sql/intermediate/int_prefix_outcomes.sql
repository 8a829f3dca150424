-- How many rollouts of a prefix are right? The indices of the right ones are listed, so that the
-- estimate from the first N rollouts can be computed for any N.
-- Grain: one row per prefix and completer.
with outcomes as (
    select
        prefix_id,
        completer,
        any_value(problem_id) as problem_id,
        count(*) as num_rollouts,
        count(*) filter (where is_correct) as num_correct,
        coalesce(list_sort(list(rollout_index) filter (where is_correct)), []) as correct_draws,
        list_unique(list(hash(rollout_text))) as num_distinct_rollouts,
        sum(num_tokens)::bigint as num_tokens
    from stg_rollouts
    group by prefix_id, completer
)

select
    problems.dataset,
    outcomes.*
from outcomes
inner join stg_problems as problems using (problem_id);
