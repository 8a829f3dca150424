-- Which aggregation of step scores into one score chooses the right candidate most often?
-- Grain: one row per dataset, generator and aggregation. The candidate with the highest score of
-- the process reward model is chosen among all candidates of a problem; one with unscored steps
-- ranks last.
with scored as (
    select
        problems.dataset,
        candidates.generator,
        candidates.problem_id,
        candidates.candidate_id,
        candidates.draw,
        candidates.is_correct,
        if(scores.num_unscored = 0, scores.step_scores, null) as step_scores
    from stg_candidate_scores as scores
    inner join stg_candidates as candidates using (candidate_id)
    inner join stg_problems as problems on candidates.problem_id = problems.problem_id
    where scores.reward_model = 'process_reward_model'
),

aggregated as (
    select
        * exclude (step_scores),
        unnest(['min', 'last', 'product', 'mean']) as aggregation,
        unnest([
            list_min(step_scores),
            step_scores[-1],
            list_product(step_scores),
            list_avg(step_scores)
        ]) as score
    from scored
),

-- Of candidates with equal scores the first draw is chosen, as in shepherd/verification.py.
chosen as (
    select *
    from aggregated
    qualify row_number() over (
        partition by dataset, generator, aggregation, problem_id
        order by score desc nulls last, draw asc, candidate_id asc
    ) = 1
)

select
    dataset,
    generator,
    aggregation,
    avg(is_correct::integer) as accuracy,
    count(*) as num_problems
from chosen
group by dataset, generator, aggregation
order by dataset, generator, aggregation;
