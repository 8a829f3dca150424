-- Fails for keys that more than one row has: one row per dataset, completer, reference and N.
select
    dataset,
    completer,
    reference,
    num_rollouts,
    count(*) as num_rows
from rollout_budgets
group by dataset, completer, reference, num_rollouts
having count(*) > 1;
