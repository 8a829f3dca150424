-- Fails for models of whose answers the grader gave up on more than one in a hundred.
select *
from grading_reasons
where grade_reason = 'timeout' and share > 0.01;
