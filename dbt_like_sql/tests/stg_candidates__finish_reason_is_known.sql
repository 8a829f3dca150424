-- Fails for candidates that ended in a way that no engine has.
select *
from stg_candidates
where finish_reason not in ('stop', 'length', 'error', 'imported');
