-- Fails where the rollouts drawn and merged are not those of all steps that need them.
with drawn as (
    select
        prefix_id,
        completer,
        count(*) as num_rollouts
    from stg_rollouts
    group by prefix_id, completer
),

wanted as (
    select
        problems.dataset,
        drawn.completer as model,
        sum(drawn.num_rollouts)::bigint as num_wanted
    from stg_steps as steps
    inner join stg_problems as problems using (problem_id)
    inner join drawn using (prefix_id)
    where not steps.is_last
    group by problems.dataset, drawn.completer
)

select
    dataset,
    model,
    num_wanted,
    num_rollouts,
    num_merged
from wanted
inner join annotation_cost using (dataset, model)
where num_rollouts + num_merged != num_wanted;
