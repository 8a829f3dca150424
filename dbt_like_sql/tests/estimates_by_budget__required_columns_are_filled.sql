-- Fails for rows with a null where there must be none.
select *
from estimates_by_budget
where
    dataset is null
    or completer is null
    or num_rollouts is null
    or num_prefixes is null
    or num_good is null
    or mean_soft is null;
