-- How many requests, tokens and seconds did the pilot use? stg_costs counts them in the stage
-- rollouts, which takes the pilot's rollouts over.
-- Grain: one row per dataset, shard and model.
select
    dataset,
    shard,
    model,
    num_requests,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    seconds
from lake.pilot_costs;
