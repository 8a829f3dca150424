-- Fails for verdicts that contradict their reason.
select *
from stg_solutions
where is_correct != (grade_reason in ('exact', 'numeric', 'symbolic'));
