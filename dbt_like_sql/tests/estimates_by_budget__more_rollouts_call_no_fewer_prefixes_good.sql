-- Fails where more rollouts label fewer prefixes good. One right rollout makes a prefix good.
select *
from estimates_by_budget
qualify
    num_good < lag(num_good) over (partition by dataset, completer order by num_rollouts);
