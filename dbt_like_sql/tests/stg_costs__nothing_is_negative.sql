-- Fails for costs below zero.
select *
from stg_costs
where
    least(
        num_requests, num_merged, num_spared, prompt_tokens, cached_tokens, completion_tokens,
        thought_tokens, seconds
    ) < 0;
