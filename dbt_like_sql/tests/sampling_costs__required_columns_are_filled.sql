-- Fails for rows with a null where there must be none.
select *
from sampling_costs
where
    dataset is null
    or stage is null
    or model is null
    or num_requests is null
    or completion_tokens is null;
