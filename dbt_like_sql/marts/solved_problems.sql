-- Which problems does no draw solve, and which do all draws solve?
-- Grain: one row per problem, stage and generator.
select
    problems.dataset,
    problems.split,
    draws.stage,
    draws.generator,
    problems.problem_id,
    problems.question,
    problems.gold_answer,
    problems.level,
    sum(draws.num_samples)::bigint as num_draws,
    coalesce(sum(draws.num_samples) filter (where draws.is_correct), 0)::bigint as num_correct,
    num_correct / num_draws as share_correct,
    case
        when num_correct = 0 then 'none'
        when num_correct = num_draws then 'all'
        else 'some'
    end as solved_by
from int_draws as draws
inner join stg_problems as problems using (problem_id)
group by all
order by
    problems.dataset, draws.stage, draws.generator, share_correct, problems.problem_id;
