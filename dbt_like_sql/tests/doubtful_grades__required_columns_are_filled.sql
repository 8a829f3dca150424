-- Fails for rows with a null where there must be none.
select *
from doubtful_grades
where
    dataset is null
    or problem_id is null
    or gold_answer is null
    or answer is null
    or doubt is null;
