-- Fails for models with more than 1 % of answers on which the grader timed out.
select *
from grading_reasons
where grade_reason = 'timeout' and share > 0.01;
