-- Fails for verdicts of an unknown reason.
select *
from grading_reasons
where grade_reason not in (
    'exact', 'numeric', 'symbolic', 'different', 'timeout', 'unparsable', 'missing'
);
