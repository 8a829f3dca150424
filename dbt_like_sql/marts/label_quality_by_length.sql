-- How often do the labels of an annotator agree with the reference, by the length of the solution?
-- Last steps are left out. Counts can be summed over rows.
-- Grain: one row per dataset, annotator and number of steps of the solution.
select
    dataset,
    annotator,
    group_value::bigint as solution_steps,
    num_problems,
    num_solutions,
    num_labels as num_steps,
    share_good,
    mean_soft,
    num_compared,
    num_agreeing,
    num_false_wrong,
    num_false_good,
    agreement
from int_label_quality
where grouped_by = 'length'
order by dataset, annotator, solution_steps;
