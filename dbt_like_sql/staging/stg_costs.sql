-- How many requests, tokens and seconds did sampling use?
-- Grain: one row per stage, dataset, shard and model.
with all_costs as (
    from lake.solution_costs
    union all by name
    from lake.rollout_costs
    union all by name
    from lake.candidate_costs
    union all by name
    from lake.critique_costs
    union all by name
    from lake.entailment_costs
)

select
    stage,
    dataset,
    shard,
    model,
    num_requests,
    num_merged,
    num_spared,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    thought_tokens,
    seconds
from all_costs;
