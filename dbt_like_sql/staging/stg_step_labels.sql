-- Which label does an annotator give a step? The oracle counts as an annotator.
-- Grain: one row per step and annotator.
with all_labels as (
    from lake.step_labels
    -- A profile may list the oracle as an annotator; its labels are in their own table anyway.
    where annotator != 'oracle'
    union all by name
    from lake.oracle_labels
)

select
    step_id,
    annotator,
    num_rollouts,
    num_correct,
    hard,
    soft,
    low as soft_low,
    high as soft_high
from all_labels;
