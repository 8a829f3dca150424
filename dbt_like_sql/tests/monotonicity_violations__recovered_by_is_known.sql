-- Fails for recoveries by anything else than rollouts or the solution's own answer.
select *
from monotonicity_violations
where recovered_by not in ('rollouts', 'answer');
