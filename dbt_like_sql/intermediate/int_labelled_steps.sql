-- What are the label, text, true label, solution and problem of a labelled step? The true label is
-- null for last steps and where there is no reference; that of a reference is its own.
-- Grain: one row per step and annotator.
select
    labels.step_id,
    labels.annotator,
    problems.dataset,
    problems.shard,
    problems.split,
    problems.level,
    problems.subject,
    steps.problem_id,
    steps.solution_id,
    solutions.generator,
    steps.step_index,
    steps.num_steps,
    steps.is_last,
    steps.prefix_id,
    steps.step_text,
    labels.num_rollouts,
    labels.num_correct,
    labels.hard,
    labels.soft,
    labels.soft_low,
    labels.soft_high,
    truth.reference,
    truth.true_hard,
    solutions.is_correct as solution_is_correct
from stg_step_labels as labels
inner join stg_steps as steps using (step_id)
inner join stg_solutions as solutions using (solution_id)
inner join stg_problems as problems on problems.problem_id = steps.problem_id
left join int_true_labels as truth on truth.step_id = labels.step_id;
