-- Fails for rows with a null where there must be none.
select *
from monotonicity_violations
where
    dataset is null
    or annotator is null
    or solution_id is null
    or problem_id is null
    or failed_step is null
    or recovered_step is null;
