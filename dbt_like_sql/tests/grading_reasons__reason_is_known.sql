-- Fails for reasons that the grader does not give.
select *
from grading_reasons
where grade_reason not in (
    'exact', 'numeric', 'symbolic', 'different', 'timeout', 'unparsable', 'missing'
);
