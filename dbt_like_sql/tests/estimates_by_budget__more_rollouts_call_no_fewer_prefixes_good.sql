-- Fails where more rollouts make fewer prefixes good: one right rollout is enough for good.
select *
from estimates_by_budget
qualify
    num_good < lag(num_good) over (partition by dataset, completer order by num_rollouts);
