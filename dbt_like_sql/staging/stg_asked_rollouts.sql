-- How many rollouts of a prefix did an annotator request?
-- Grain: one row per annotator and prefix.
select
    annotator,
    prefix_id,
    problem_id,
    num_rollouts,
    num_correct,
    num_tokens
from lake.asked_rollouts;
