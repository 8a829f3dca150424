-- Fails where the number of evaluated problems differs from the problems with candidates.
with drawn as (
    select
        problems.dataset,
        candidates.generator,
        count(distinct candidates.problem_id) as num_drawn_for
    from stg_candidates as candidates
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, candidates.generator
)

select
    results.*,
    drawn.num_drawn_for
from verification_results as results
left join drawn using (dataset, generator)
where results.num_problems is distinct from drawn.num_drawn_for;
