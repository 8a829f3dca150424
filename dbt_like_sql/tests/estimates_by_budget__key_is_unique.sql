-- Fails for keys that more than one row has: one row per dataset, completer and N.
select
    dataset,
    completer,
    num_rollouts,
    count(*) as num_rows
from estimates_by_budget
group by dataset, completer, num_rollouts
having count(*) > 1;
