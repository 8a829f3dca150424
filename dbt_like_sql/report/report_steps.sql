-- Which steps do the solutions of the report have?
-- Grain: one row per step.
select
    solution_id,
    step_id,
    step_text,
    prefix_id,
    is_last
from stg_steps
where problem_id in (select problem_id from report_problems)
order by solution_id, step_index;
