-- Which solutions compete in verification?
-- Grain: one row per draw for a test problem; equal texts are votes and stay.
select
    candidate_id,
    problem_id,
    generator,
    draw,
    text as solution_text,
    answer,
    is_correct,
    grade_reason,
    finish_reason,
    num_tokens,
    seed
from lake.candidates;
