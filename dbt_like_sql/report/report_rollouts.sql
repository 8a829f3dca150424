-- Which rollouts does the report show of the problems `chunk`? The first `max_rollouts` of a prefix
-- and completer.
-- Grain: one row per rollout.
select
    problem_id,
    prefix_id,
    rollout_text,
    answer,
    is_correct,
    finish_reason
from stg_rollouts
where
    rollout_index < getvariable('max_rollouts')
    and problem_id in (select unnest(getvariable('chunk')))
order by problem_id, prefix_id, completer, rollout_index;
