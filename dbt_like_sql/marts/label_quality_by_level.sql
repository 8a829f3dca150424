-- How often do the labels of an annotator agree with the reference, by the difficulty of the
-- problem? Last steps are left out. Counts can be summed over rows.
-- Grain: one row per dataset, annotator and level.
select
    dataset,
    annotator,
    group_value as level,
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
where grouped_by = 'level'
order by dataset, annotator, level;
