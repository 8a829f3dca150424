-- Fails for verdicts of an unknown reason.
select *
from stg_solutions
where
    grade_reason not in (
        'exact', 'numeric', 'symbolic', 'different', 'timeout', 'unparsable', 'missing'
    );
