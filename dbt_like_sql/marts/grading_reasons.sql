-- Which share of the answers was graded for which reason?
-- Grain: one row per dataset, stage, model and reason.
with graded as (
    select
        stage,
        problem_id,
        generator as model,
        grade_reason,
        is_correct,
        num_samples
    from int_draws
    union all
    select
        'rollouts' as stage,
        problem_id,
        completer as model,
        grade_reason,
        is_correct,
        1 as num_samples
    from stg_rollouts
)

select
    problems.dataset,
    graded.stage,
    graded.model,
    graded.grade_reason,
    bool_or(graded.is_correct) as is_correct,
    sum(graded.num_samples)::bigint as num_answers,
    num_answers / sum(sum(graded.num_samples))
        over (partition by problems.dataset, graded.stage, graded.model) as share
from graded
inner join stg_problems as problems using (problem_id)
group by problems.dataset, graded.stage, graded.model, graded.grade_reason
order by
    problems.dataset asc,
    graded.stage asc,
    graded.model asc,
    num_answers desc,
    graded.grade_reason asc;
