-- Fails for rows with a null where there must be none.
select *
from training_labels
where
    num_steps is null
    or num_good is null
    or share_good is null
    or dataset is null
    or annotator is null
    or step_index is null;
