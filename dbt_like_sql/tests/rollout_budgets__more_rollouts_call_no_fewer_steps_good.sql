-- Fails where more rollouts turn a good label into a wrong one. One right rollout makes a step
-- good.
select *
from rollout_budgets
window budgets as (partition by dataset, completer, reference order by num_rollouts)
qualify
    num_false_wrong > lag(num_false_wrong) over budgets
    or num_false_good < lag(num_false_good) over budgets;
