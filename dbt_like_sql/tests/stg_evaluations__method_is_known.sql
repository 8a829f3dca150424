-- Fails for methods that verification does not have.
select *
from stg_evaluations
where method not in ('pass@1', 'pass@N', 'SC', 'ORM', 'PRM', 'SC+ORM', 'SC+PRM');
