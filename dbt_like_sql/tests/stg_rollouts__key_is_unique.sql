-- Fails for keys that more than one row has: one row per prefix, completer and draw.
select
    prefix_id,
    completer,
    rollout_index,
    count(*) as num_rows
from stg_rollouts
group by prefix_id, completer, rollout_index
having count(*) > 1;
