-- Fails for rows with a null where there must be none.
select *
from label_agreement
where
    dataset is null
    or annotator is null
    or other_annotator is null
    or num_steps is null
    or agreement is null
    or first_error_agreement is null;
