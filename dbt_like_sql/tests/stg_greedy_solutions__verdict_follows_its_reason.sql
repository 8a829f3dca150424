-- Fails for verdicts that their reason does not give.
select *
from stg_greedy_solutions
where is_correct != (grade_reason in ('exact', 'numeric', 'symbolic'));
