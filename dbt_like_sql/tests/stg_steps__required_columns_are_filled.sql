-- Fails for rows with a null where there must be none.
select *
from stg_steps
where
    step_id is null
    or solution_id is null
    or problem_id is null
    or step_text is null
    or prefix_id is null
    or is_last is null;
