-- How many steps of the candidates did each reward model not read, as they are past its window?
-- Grain: one row per dataset, generator and reward model.
select
    problems.dataset,
    candidates.generator,
    scores.reward_model,
    count(*) as num_candidates,
    count(*) filter (where scores.num_unscored > 0) as num_unscored_candidates,
    sum(len(scores.step_scores))::bigint as num_steps,
    sum(scores.num_unscored)::bigint as num_unscored_steps
from stg_candidate_scores as scores
inner join stg_candidates as candidates using (candidate_id)
inner join stg_problems as problems on candidates.problem_id = problems.problem_id
group by problems.dataset, candidates.generator, scores.reward_model
order by problems.dataset, candidates.generator, scores.reward_model;
