-- Which answers could the grader not decide, and which have both verdicts?
-- Grain: one row per problem and answer that was given up or has both verdicts.
with graded as (
    select
        problem_id,
        answer,
        is_correct,
        grade_reason,
        num_samples
    from int_draws
    union all
    select
        problem_id,
        answer,
        is_correct,
        grade_reason,
        1 as num_samples
    from stg_rollouts
),

answers as (
    select
        problem_id,
        answer,
        sum(num_samples)::bigint as num_answers,
        coalesce(sum(num_samples) filter (where is_correct), 0)::bigint as num_correct,
        list_sort(list(distinct grade_reason)) as grade_reasons
    from graded
    where answer is not null
    group by problem_id, answer
    having
        bool_or(grade_reason in ('timeout', 'unparsable'))
        or bool_and(is_correct) != bool_or(is_correct)
)

select
    problems.dataset,
    answers.problem_id,
    problems.gold_answer,
    answers.answer,
    answers.num_answers,
    answers.num_correct,
    answers.grade_reasons,
    if(answers.num_correct between 1 and answers.num_answers - 1, 'both verdicts', 'given up')
        as doubt
from answers
inner join stg_problems as problems using (problem_id)
order by problems.dataset asc, answers.num_answers desc, answers.problem_id asc, answers.answer asc;
