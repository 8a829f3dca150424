-- Fails for finish reasons that no engine gives.
select *
from stg_candidates
where finish_reason not in ('stop', 'length', 'error', 'imported');
