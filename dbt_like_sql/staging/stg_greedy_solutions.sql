-- What is each model's likeliest solution of each test problem?
-- Grain: one row per test problem and generator or policy.
select
    problem_id,
    generator,
    text as solution_text,
    answer,
    is_correct,
    grade_reason,
    num_steps,
    num_repeated_steps,
    finish_reason,
    num_tokens
from lake.greedy_solutions;
