-- Fails for rows with a null where there must be none.
select *
from stg_solutions
where
    solution_id is null
    or problem_id is null
    or generator is null
    or solution_text is null
    or is_correct is null
    or grade_reason is null;
