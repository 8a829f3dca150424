-- Fails where costs count more or fewer draws than were made. Imported solutions cost nothing.
with drawn as (
    select
        problems.dataset,
        draws.stage,
        draws.generator as model,
        sum(draws.num_samples)::bigint as num_drawn
    from int_draws as draws
    inner join stg_problems as problems using (problem_id)
    where draws.finish_reason != 'imported'
    group by problems.dataset, draws.stage, draws.generator
)

select
    dataset,
    stage,
    model,
    num_drawn,
    num_requests
from drawn
left join sampling_costs using (dataset, stage, model)
where num_drawn is distinct from num_requests;
