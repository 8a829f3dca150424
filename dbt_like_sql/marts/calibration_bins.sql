-- Is a soft label the probability that the step is right? Last steps are left out.
-- Grain: one row per dataset, annotator, reference and tenth of the soft label. A soft label of 1
-- is in the last tenth.
select
    steps.dataset,
    steps.annotator,
    truth.reference,
    least(floor(steps.soft * 10)::integer, 9) as tenth,
    count(*) as num_steps,
    avg(steps.soft) as mean_soft,
    avg(truth.true_hard) as share_truly_good
from int_labelled_steps as steps
inner join int_true_labels as truth
    on truth.step_id = steps.step_id and truth.reference != steps.annotator
where steps.soft is not null
group by steps.dataset, steps.annotator, truth.reference, tenth
order by steps.dataset, steps.annotator, truth.reference, tenth;
