-- Which method chooses a right candidate most often, and what does it gain over one sample and
-- over self-consistency?
-- Grain: one row per dataset, generator, method and number of candidates (N of best-of-N).
with singles as (
    select
        dataset,
        generator,
        accuracy as single_accuracy
    from stg_evaluations
    where method = 'pass@1'
)

select
    evaluations.dataset,
    evaluations.generator,
    evaluations.method,
    evaluations.num_candidates,
    evaluations.accuracy,
    evaluations.accuracy_low,
    evaluations.accuracy_high,
    evaluations.accuracy - singles.single_accuracy as gain_over_one_sample,
    evaluations.gain_over_self_consistency,
    evaluations.gain_over_self_consistency_low,
    evaluations.gain_over_self_consistency_high,
    evaluations.num_problems,
    evaluations.num_groups
from stg_evaluations as evaluations
left join singles using (dataset, generator)
order by
    evaluations.dataset, evaluations.generator, evaluations.method, evaluations.num_candidates;
