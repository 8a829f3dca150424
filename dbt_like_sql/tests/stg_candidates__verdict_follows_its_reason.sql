-- Fails for verdicts that contradict their reason.
select *
from stg_candidates
where is_correct != (grade_reason in ('exact', 'numeric', 'symbolic'));
