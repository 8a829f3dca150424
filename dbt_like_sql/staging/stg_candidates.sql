-- Which solutions of test problems does verification choose from?
-- Grain: one row per draw for a test problem. Equal texts stay separate rows, because each is a
-- vote.
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
