-- Which scores does a reward model give the labelled solutions of problems that were held out from
-- its training?
-- Grain: one row per solution and reward model.
select
    solution_id,
    problem_id,
    reward_model,
    step_scores
from lake.held_out_scores;
