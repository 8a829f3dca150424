-- Fails for rows with a null where there must be none.
select *
from annotation_cost
where
    dataset is null
    or model is null
    or num_labels is null
    or num_rollouts is null
    or num_merged is null;
