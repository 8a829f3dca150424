-- Fails for rows with a null where there must be none.
select *
from label_quality
where
    dataset is null
    or annotator is null
    or generator is null
    or step_index is null
    or num_steps is null
    or share_good is null;
