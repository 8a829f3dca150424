-- How often do the labels of an annotator agree with the reference, by generator and step
-- position? Last steps are left out: their label is the correctness of the solution, which needs
-- no estimate. Counts can be summed over rows, and a share over several rows is a sum divided by a
-- sum.
-- Grain: one row per dataset, annotator, generator and step position.
select
    steps.dataset,
    steps.annotator,
    steps.generator,
    steps.step_index,
    count(*) as num_steps,
    sum(steps.hard)::bigint as num_good,
    avg(steps.hard) as share_good,
    avg(steps.soft) as mean_soft,
    avg(steps.soft_high - steps.soft_low) as mean_interval_width,
    min(truth.reference) as reference,
    count(truth.true_hard) as num_compared,
    count(*) filter (where steps.hard = truth.true_hard) as num_agreeing,
    count(*) filter (where steps.hard = 0 and truth.true_hard is not null) as num_labelled_wrong,
    count(*) filter (where truth.true_hard = 0) as num_truly_wrong,
    count(*) filter (where steps.hard = 0 and truth.true_hard = 0) as num_found_wrong,
    num_agreeing / nullif(num_compared, 0) as agreement,
    num_found_wrong / nullif(num_labelled_wrong, 0) as wrong_precision,
    num_found_wrong / nullif(num_truly_wrong, 0) as wrong_recall
from int_labelled_steps as steps
left join int_true_labels as truth
    on truth.step_id = steps.step_id and truth.reference != steps.annotator
where not steps.is_last
group by steps.dataset, steps.annotator, steps.generator, steps.step_index
order by steps.dataset, steps.annotator, steps.generator, steps.step_index;
