-- Which labels does the report show on the solutions of its problems? `hard_labels` has a digit for
-- each step, in order.
-- Grain: one row per solution and annotator.
select
    solution_id,
    annotator,
    string_agg(hard::varchar, '' order by step_index) as hard_labels,
    list(round(soft, 4) order by step_index) as soft_labels
from int_labelled_steps
where solution_id in (select solution_id from report_solutions)
group by solution_id, annotator
order by solution_id, annotator;
