-- What are the label, dataset, position and solution of a labelled step?
-- Grain: one row per step and annotator.
select
    labels.step_id,
    labels.annotator,
    problems.dataset,
    problems.split,
    steps.problem_id,
    steps.solution_id,
    solutions.generator,
    steps.step_index,
    steps.num_steps,
    steps.is_last,
    steps.prefix_id,
    labels.num_rollouts,
    labels.num_correct,
    labels.hard,
    labels.soft,
    labels.soft_low,
    labels.soft_high,
    solutions.is_correct as solution_is_correct
from stg_step_labels as labels
inner join stg_steps as steps using (step_id)
inner join stg_solutions as solutions using (solution_id)
inner join stg_problems as problems on problems.problem_id = steps.problem_id;
