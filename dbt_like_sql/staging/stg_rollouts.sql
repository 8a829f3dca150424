-- Which completions did the completer draw from a prefix?
-- Grain: one row per prefix, completer and draw.
select
    prefix_id,
    problem_id,
    completer,
    rollout_index,
    text as rollout_text,
    answer,
    is_correct,
    grade_reason,
    finish_reason,
    num_tokens,
    seed
from lake.rollouts;
