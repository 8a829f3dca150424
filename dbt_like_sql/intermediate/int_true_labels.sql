-- What is the true label of a step that is not the last? Human labels come before the oracle's.
-- Grain: one row per step that is not the last and that a human or the oracle labelled.
select
    step_id,
    prefix_id,
    dataset,
    annotator as reference,
    hard as true_hard
from int_labelled_steps
where annotator in ('human', 'oracle') and not is_last
qualify row_number() over (partition by step_id order by annotator) = 1;
