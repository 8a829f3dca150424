-- Fails for policies whose start was not evaluated.
select evaluated.*
from stg_policy_evaluations as evaluated
left join policy_results as results using (dataset, policy)
where results.policy is null;
