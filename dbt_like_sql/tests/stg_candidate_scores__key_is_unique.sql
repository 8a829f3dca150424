-- Fails for keys that more than one row has: one row per candidate and reward model.
select
    candidate_id,
    reward_model,
    count(*) as num_rows
from stg_candidate_scores
group by candidate_id, reward_model
having count(*) > 1;
