-- Fails for rollouts that ended in a way that no engine has.
select *
from stg_rollouts
where finish_reason not in ('stop', 'length', 'error', 'imported');
