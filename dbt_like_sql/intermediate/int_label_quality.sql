-- The labels of an annotator against the reference, by the difficulty of the problem and by the
-- length of the solution. Last steps are left out. Counts can be summed over a grouping's rows.
-- Grain: one row per dataset, annotator, grouping (level or length) and its value: a level, or the
-- number of steps of the solution.
select
    dataset,
    annotator,
    case when grouping(level) = 0 then 'level' else 'length' end as grouped_by,
    coalesce(level, num_steps::varchar) as group_value,
    count(distinct problem_id) as num_problems,
    count(distinct solution_id) as num_solutions,
    count(*) as num_labels,
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
where not is_last
group by grouping sets ((dataset, annotator, level), (dataset, annotator, num_steps))
having grouping(level) = 1 or level is not null;
