-- Fails for aggregations that solve more problems than have a right candidate.
with solvable as (
    select
        problems.dataset,
        candidates.generator,
        count(distinct candidates.problem_id) filter (where candidates.is_correct) as num_solvable
    from stg_candidates as candidates
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, candidates.generator
)

select
    results.*,
    solvable.num_solvable
from aggregation_results as results
inner join solvable using (dataset, generator)
where results.accuracy * results.num_problems > solvable.num_solvable + 1e-9;
