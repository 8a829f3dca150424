-- Fails for rows with a null where there must be none.
select *
from stg_step_labels
where
    step_id is null
    or annotator is null
    or num_rollouts is null
    or num_correct is null
    or hard is null;
