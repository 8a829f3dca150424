-- Fails for rows with a null where there must be none.
select *
from suspicious_solutions
where
    dataset is null
    or annotator is null
    or solution_id is null
    or problem_id is null
    or first_wrong_step is null;
