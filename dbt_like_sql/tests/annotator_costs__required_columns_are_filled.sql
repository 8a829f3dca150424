-- Fails for rows with a null where there must be none.
select *
from annotator_costs
where
    dataset is null
    or annotator is null
    or full_budget is null
    or num_labels is null
    or num_rollouts is null
    or num_merged is null
    or num_stopped is null;
