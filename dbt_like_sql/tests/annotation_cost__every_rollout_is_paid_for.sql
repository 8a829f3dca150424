-- Fails for completers whose costs count more or fewer rollouts than were drawn.
with drawn as (
    select
        problems.dataset,
        rollouts.completer as model,
        count(*) as num_drawn
    from stg_rollouts as rollouts
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, rollouts.completer
)

select
    dataset,
    model,
    num_drawn,
    num_rollouts
from drawn
full join annotation_cost using (dataset, model)
where coalesce(num_drawn, 0) != coalesce(num_rollouts, 0);
