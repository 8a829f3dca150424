-- Which solutions does the report show of its problems, and which steps do they have? At most
-- `max_solutions` of a problem, those drawn most often. Solutions of problems that were held out
-- from training have scores of the process reward model.
-- Grain: one row per distinct solution.
with shown as (
    select
        solution_id,
        problem_id,
        generator,
        solution_text,
        answer,
        is_correct,
        num_samples
    from stg_solutions
    where problem_id in (select problem_id from report_problems)
    qualify
        row_number() over (
            partition by problem_id order by num_samples desc, solution_id asc
        ) <= getvariable('max_solutions')
),

steps as (
    select
        solution_id,
        list(step_text order by step_index) as step_texts,
        list(if(is_last, null, prefix_id) order by step_index) as prefix_ids
    from stg_steps
    where solution_id in (select solution_id from shown)
    group by solution_id
)

select
    shown.*,
    coalesce(steps.step_texts, []) as step_texts,
    coalesce(steps.prefix_ids, []) as prefix_ids,
    scores.step_scores
from shown
left join steps using (solution_id)
left join stg_held_out_scores as scores
    on
        shown.solution_id = scores.solution_id
        and scores.reward_model = 'process_reward_model'
order by shown.problem_id asc, shown.is_correct desc, shown.num_samples desc, shown.solution_id asc;
