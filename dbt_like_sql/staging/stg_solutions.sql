-- Which solutions were sampled, and are they right?
-- Grain: one row per distinct solution of a problem and generator.
select
    solution_id,
    problem_id,
    generator,
    text as solution_text,
    answer,
    is_correct,
    grade_reason,
    num_samples,
    finish_reason,
    num_tokens,
    seed
from lake.solutions;
