-- What did each stage draw and take, in two homes?
-- Grain: one row per dataset, stage and model. `a` and `b` are the attached warehouses.
select
    coalesce(one.dataset, other.dataset) as dataset,
    coalesce(one.stage, other.stage) as stage,
    coalesce(one.model, other.model) as model,
    one.num_requests as requests_in_a,
    other.num_requests as requests_in_b,
    one.completion_tokens as tokens_in_a,
    other.completion_tokens as tokens_in_b,
    one.seconds as seconds_in_a,
    other.seconds as seconds_in_b
from a.sampling_costs as one
full join b.sampling_costs as other
    on
        other.dataset = one.dataset
        and other.stage = one.stage
        and other.model = one.model
order by 1, 2, 3;
