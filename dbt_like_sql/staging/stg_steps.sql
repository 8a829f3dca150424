-- Which steps do the solutions have?
-- Grain: one row per step of a solution.
select
    step_id,
    solution_id,
    problem_id,
    step_index,
    num_steps,
    text as step_text,
    prefix_id,
    is_last
from lake.steps;
