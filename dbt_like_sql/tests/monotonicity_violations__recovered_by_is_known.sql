-- Fails for values other than rollouts and answer.
select *
from monotonicity_violations
where recovered_by not in ('rollouts', 'answer');
