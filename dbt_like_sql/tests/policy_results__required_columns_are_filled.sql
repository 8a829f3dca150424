-- Fails for rows with a null where there must be none.
select *
from policy_results
where
    dataset is null
    or policy is null
    or start_policy is null
    or method is null
    or accuracy is null
    or gain is null;
