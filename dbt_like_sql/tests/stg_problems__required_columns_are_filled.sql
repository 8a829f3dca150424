-- Fails for rows with a null where there must be none.
select *
from stg_problems
where
    problem_id is null
    or dataset is null
    or split is null
    or question is null
    or gold_answer is null;
