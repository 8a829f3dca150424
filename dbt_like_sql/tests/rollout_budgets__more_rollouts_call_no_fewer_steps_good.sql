-- Fails where more rollouts turn a good hard label wrong: one right rollout is enough for good.
select *
from rollout_budgets
window budgets as (partition by dataset, completer, reference order by num_rollouts)
qualify
    num_false_wrong > lag(num_false_wrong) over budgets
    or num_false_good < lag(num_false_good) over budgets;
