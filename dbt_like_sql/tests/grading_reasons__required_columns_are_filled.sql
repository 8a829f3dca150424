-- Fails for rows with a null where there must be none.
select *
from grading_reasons
where
    dataset is null
    or stage is null
    or model is null
    or grade_reason is null
    or is_correct is null
    or num_answers is null
    or share is null;
