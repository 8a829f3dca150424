-- Which labels does the report show on the steps of its problems?
-- Grain: one row per step and annotator.
select
    step_id,
    annotator,
    hard,
    soft
from int_labelled_steps
where problem_id in (select problem_id from report_problems)
order by step_id, annotator;
