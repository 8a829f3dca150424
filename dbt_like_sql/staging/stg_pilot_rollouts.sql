-- Which completions did the pilot draw? They are in stg_rollouts too.
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
from lake.pilot_rollouts;
