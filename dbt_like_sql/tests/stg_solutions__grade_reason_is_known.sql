-- Fails for reasons that the grader does not give.
select *
from stg_solutions
where
    grade_reason not in (
        'exact', 'numeric', 'symbolic', 'different', 'timeout', 'unparsable', 'missing'
    );
