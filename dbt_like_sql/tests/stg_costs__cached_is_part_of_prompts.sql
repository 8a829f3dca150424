-- Fails where more prompt tokens were cached than there were.
select *
from stg_costs
where cached_tokens > prompt_tokens;
