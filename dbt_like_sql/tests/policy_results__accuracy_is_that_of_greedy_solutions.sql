-- Fails for accuracies outside their interval, or that differ from those of the greedy solutions.
with solved as (
    select
        problems.dataset,
        greedy.generator as policy,
        avg(greedy.is_correct::int) as accuracy
    from stg_greedy_solutions as greedy
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, greedy.generator
)

select
    results.*,
    solved.accuracy as solved_share
from policy_results as results
left join solved using (dataset, policy)
where
    solved.accuracy is null
    or abs(results.accuracy - solved.accuracy) > 1e-9
    or results.accuracy < results.accuracy_low - 1e-9
    or results.accuracy > results.accuracy_high + 1e-9;
