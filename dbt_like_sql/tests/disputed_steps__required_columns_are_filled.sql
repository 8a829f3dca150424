-- Fails for rows with a null where there must be none.
select *
from disputed_steps
where
    dataset is null
    or step_id is null
    or problem_id is null
    or solution_id is null
    or good_by is null
    or wrong_by is null;
