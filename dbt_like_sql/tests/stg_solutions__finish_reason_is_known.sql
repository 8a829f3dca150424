-- Fails for solutions that ended in a way that no engine has.
select *
from stg_solutions
where finish_reason not in ('stop', 'length', 'error', 'imported');
