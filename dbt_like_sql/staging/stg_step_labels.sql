-- What does each annotator, the oracle among them, say of each step?
-- Grain: one row per step and annotator.
with all_labels as (
    from lake.step_labels
    -- Also an annotator of the profile, the oracle is a table of its own.
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
