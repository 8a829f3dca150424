-- How often do the labels of an annotator agree with the reference, by the difficulty of the
-- problem? Last steps are left out. Counts can be summed over rows.
-- Grain: one row per dataset, annotator and level.
select
    dataset,
    annotator,
    level,
    count(distinct problem_id) as num_problems,
    count(distinct solution_id) as num_solutions,
    count(*) as num_steps,
    avg(hard) as share_good,
    avg(soft) as mean_soft,
    count(*) filter (where reference != annotator) as num_compared,
    count(*) filter (where reference != annotator and hard = true_hard) as num_agreeing,
    count(*) filter (where reference != annotator and hard = 0 and true_hard = 1)
        as num_false_wrong,
    count(*) filter (where reference != annotator and hard = 1 and true_hard = 0)
        as num_false_good,
    num_agreeing / nullif(num_compared, 0) as agreement
from int_labelled_steps
where not is_last and level is not null
group by dataset, annotator, level
order by dataset, annotator, level;
