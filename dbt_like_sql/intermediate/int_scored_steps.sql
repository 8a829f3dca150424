-- How do the score of a reward model, the label of an annotator and the true label of a step
-- compare? The problems were held out from the training of the reward model.
-- Grain: one row per step, reward model and annotator; steps past the model's window are left out.
with scores as (
    select
        solution_id,
        reward_model,
        generate_subscripts(step_scores, 1) as step_index,
        unnest(step_scores) as score
    from stg_held_out_scores
)

select
    labels.step_id,
    scores.reward_model,
    labels.annotator,
    labels.dataset,
    labels.shard,
    labels.level,
    labels.subject,
    labels.problem_id,
    labels.solution_id,
    labels.generator,
    labels.step_index,
    labels.num_steps,
    labels.is_last,
    labels.step_text,
    scores.score,
    labels.hard,
    labels.soft,
    labels.soft_low,
    labels.soft_high,
    case when labels.is_last then labels.hard else labels.true_hard end as true_hard,
    labels.solution_is_correct
from int_labelled_steps as labels
inner join scores
    on scores.solution_id = labels.solution_id and scores.step_index = labels.step_index
where scores.score is not null and labels.annotator not in ('human', 'oracle');
