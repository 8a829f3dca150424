-- What is the true label of a step that is not the last? Human labels come before the oracle's.
-- Grain: one row per step that is not the last and that a human or the oracle labelled.
select
    labels.step_id,
    steps.prefix_id,
    problems.dataset,
    labels.annotator as reference,
    labels.hard as true_hard
from stg_step_labels as labels
inner join stg_steps as steps using (step_id)
inner join stg_problems as problems on problems.problem_id = steps.problem_id
where labels.annotator in ('human', 'oracle') and not steps.is_last
qualify row_number() over (partition by labels.step_id order by labels.annotator) = 1;
