-- Which solutions does the report show of its problems? At most `max_solutions` of a problem, those
-- drawn most often.
-- Grain: one row per distinct solution.
select
    solution_id,
    problem_id,
    generator,
    solution_text,
    answer,
    is_correct,
    num_samples
from stg_solutions
where problem_id in (select problem_id from report_problems)
qualify
    row_number() over (
        partition by problem_id order by num_samples desc, solution_id asc
    ) <= getvariable('max_solutions')
order by problem_id asc, is_correct desc, num_samples desc, solution_id asc;
