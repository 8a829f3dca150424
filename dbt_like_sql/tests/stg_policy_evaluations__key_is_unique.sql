-- Fails for keys that more than one row has: one row per dataset and policy.
select
    dataset,
    policy,
    count(*) as num_rows
from stg_policy_evaluations
group by dataset, policy
having count(*) > 1;
