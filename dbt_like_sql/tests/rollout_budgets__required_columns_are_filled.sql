-- Fails for rows with a null where there must be none.
select *
from rollout_budgets
where
    dataset is null
    or completer is null
    or reference is null
    or num_rollouts is null
    or num_compared is null
    or hard_agreement is null
    or mean_soft_error is null;
