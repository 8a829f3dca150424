-- Which solution does a model write for a test problem by greedy decoding?
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
