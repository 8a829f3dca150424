-- Which scores does a reward model give a candidate?
-- Grain: one row per candidate and reward model.
select
    candidate_id,
    problem_id,
    reward_model,
    step_scores
from lake.candidate_scores;
