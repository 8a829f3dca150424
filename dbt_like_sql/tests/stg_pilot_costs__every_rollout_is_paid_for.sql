-- Fails for datasets and completers whose costs count more or fewer rollouts than the pilot has.
with drawn as (
    select
        problems.dataset,
        rollouts.completer as model,
        count(*) as num_drawn
    from stg_pilot_rollouts as rollouts
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, rollouts.completer
),

paid as (
    select
        dataset,
        model,
        sum(num_requests)::bigint as num_paid
    from stg_pilot_costs
    group by dataset, model
)

select *
from drawn
full join paid using (dataset, model)
where coalesce(num_drawn, 0) != coalesce(num_paid, 0);
