-- How many requests, tokens and seconds did a sampling stage use, and how many requests did shared
-- prefixes and early stops save?
-- Grain: one row per dataset, stage and model.
select
    dataset,
    stage,
    model,
    sum(num_requests)::bigint as num_requests,
    sum(num_merged)::bigint as num_merged,
    sum(num_spared)::bigint as num_spared,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(cached_tokens)::bigint as cached_tokens,
    sum(completion_tokens)::bigint as completion_tokens,
    coalesce(sum(thought_tokens), 0)::bigint as thought_tokens,
    sum(completion_tokens - coalesce(thought_tokens, 0))::bigint as answer_tokens,
    sum(seconds) as seconds,
    sum(completion_tokens) / nullif(sum(seconds), 0) as tokens_per_second,
    sum(cached_tokens) / nullif(sum(prompt_tokens), 0) as share_cached
from stg_costs
group by dataset, stage, model
order by dataset, stage, model;
