-- Which scores does a reward model give a candidate?
-- Grain: one row per candidate and reward model.
select
    candidate_id,
    problem_id,
    reward_model,
    step_scores,
    len(list_filter(step_scores, lambda score: score is null)) as num_unscored
from lake.candidate_scores;
