-- Which method chooses a right candidate most often, and what does it gain over one sample and
-- over self-consistency?
-- Grain: one row per dataset, generator, method and number of candidates (N of best-of-N).
with baselines as (
    select
        dataset,
        generator,
        num_candidates,
        max(accuracy) filter (where method = 'SC') as sc_accuracy,
        max(max(accuracy) filter (where method = 'pass@1'))
            over (partition by dataset, generator) as single_accuracy
    from stg_evaluations
    group by dataset, generator, num_candidates
)

select
    evaluations.dataset,
    evaluations.generator,
    evaluations.method,
    evaluations.num_candidates,
    evaluations.accuracy,
    evaluations.accuracy_low,
    evaluations.accuracy_high,
    evaluations.accuracy - baselines.single_accuracy as gain_over_one_sample,
    evaluations.accuracy - baselines.sc_accuracy as gain_over_self_consistency,
    evaluations.num_problems,
    evaluations.num_groups
from stg_evaluations as evaluations
inner join baselines using (dataset, generator, num_candidates)
order by
    evaluations.dataset, evaluations.generator, evaluations.method, evaluations.num_candidates;
