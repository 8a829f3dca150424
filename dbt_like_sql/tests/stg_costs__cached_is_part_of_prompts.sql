-- Fails where more prompt tokens were cached than prompts have.
select *
from stg_costs
where cached_tokens > prompt_tokens;
