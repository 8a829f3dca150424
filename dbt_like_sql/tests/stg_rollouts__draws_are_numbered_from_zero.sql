-- Fails for prefixes whose draws are not numbered 0, 1, 2 without a gap.
select
    prefix_id,
    completer,
    count(*) as num_rows
from stg_rollouts
group by prefix_id, completer
having
    min(rollout_index) != 0
    or max(rollout_index) != count(*) - 1
    or count(distinct rollout_index) != count(*);
