-- Fails for rows with a null where there must be none.
select *
from dataset_counts
where
    dataset is null
    or num_problems is null
    or num_solutions is null
    or num_steps is null
    or num_rollouts is null
    or num_labels is null;
