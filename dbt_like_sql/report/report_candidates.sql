-- Which candidates does the report show of its problems? At most `max_solutions` of a problem,
-- those with the highest score of the process reward model (the minimum of its step scores).
-- Candidates with unscored steps come last.
-- Grain: one row per distinct candidate.
with distinct_candidates as (
    select
        problem_id,
        candidates.generator,
        candidates.solution_text,
        arg_min(candidates.candidate_id, candidates.draw) as candidate_id,
        any_value(candidates.answer) as answer,
        any_value(candidates.is_correct) as is_correct,
        count(*) as num_samples,
        any_value(problems.dataset) as dataset
    from stg_candidates as candidates
    inner join report_problems as problems using (problem_id)
    group by problem_id, candidates.generator, candidates.solution_text
)

select
    drawn.*,
    process.step_scores,
    outcome.step_scores as outcome_scores,
    if(process.num_unscored = 0, list_min(process.step_scores), null) as lowest_score
from distinct_candidates as drawn
left join stg_candidate_scores as process
    on
        drawn.candidate_id = process.candidate_id
        and process.reward_model = 'process_reward_model'
left join stg_candidate_scores as outcome
    on
        drawn.candidate_id = outcome.candidate_id
        and outcome.reward_model = 'outcome_reward_model'
qualify
    row_number() over (
        partition by drawn.problem_id
        order by lowest_score desc nulls last, drawn.candidate_id asc
    ) <= getvariable('max_solutions')
order by drawn.problem_id asc, lowest_score desc nulls last, drawn.candidate_id asc;
