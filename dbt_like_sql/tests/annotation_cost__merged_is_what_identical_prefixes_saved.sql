-- Fails where num_merged differs from the rollouts that shared prefixes saved.
with drawn as (
    select
        prefix_id,
        completer,
        count(*) as num_rollouts
    from stg_rollouts
    group by prefix_id, completer
),

prefixes as (
    select
        problems.dataset,
        steps.prefix_id,
        count(*) as num_steps
    from stg_steps as steps
    inner join stg_problems as problems using (problem_id)
    where not steps.is_last
    group by problems.dataset, steps.prefix_id
),

expected as (
    select
        prefixes.dataset,
        drawn.completer as model,
        sum(drawn.num_rollouts * (prefixes.num_steps - 1))::bigint as num_expected
    from prefixes
    inner join drawn using (prefix_id)
    group by prefixes.dataset, drawn.completer
)

select
    dataset,
    model,
    num_expected,
    num_merged
from expected
inner join annotation_cost using (dataset, model)
where num_merged != num_expected;
