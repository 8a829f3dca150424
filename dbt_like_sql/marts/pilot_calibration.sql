-- Does a soft label fit rollouts of prefixes that nothing chose? The pilot drew equally many of
-- each prefix of its problems. Of the steps in a tenth of the soft label: how many of these draws
-- are right, and from how many steps is any right? Last steps are left out.
-- Grain: one row per dataset, annotator and tenth of the soft label. A soft label of 1 is in the
-- last tenth.
with outcomes as (
    select
        prefix_id,
        avg(is_correct::integer) as share_correct,
        max(is_correct::integer) as is_reached
    from stg_pilot_rollouts
    where finish_reason != 'error'
    group by prefix_id
)

select
    steps.dataset,
    steps.annotator,
    least(floor(steps.soft * 10)::integer, 9) as tenth,
    count(*) as num_steps,
    avg(steps.soft) as mean_soft,
    avg(outcomes.share_correct) as share_of_rollouts_correct,
    avg(outcomes.is_reached) as share_reached,
    avg(truth.true_hard) as share_truly_good
from int_labelled_steps as steps
inner join outcomes using (prefix_id)
left join int_true_labels as truth
    on truth.step_id = steps.step_id and truth.reference != steps.annotator
where steps.soft is not null and not steps.is_last
group by steps.dataset, steps.annotator, tenth
order by steps.dataset, steps.annotator, tenth;
