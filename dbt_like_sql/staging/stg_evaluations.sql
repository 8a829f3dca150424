-- How often does a verification method choose a right candidate?
-- Grain: one row per dataset, generator, method and number of candidates.
select
    dataset,
    generator,
    method,
    num_candidates,
    accuracy,
    low as accuracy_low,
    high as accuracy_high,
    num_problems,
    num_groups,
    gain as gain_over_self_consistency,
    gain_low as gain_over_self_consistency_low,
    gain_high as gain_over_self_consistency_high
from lake.evaluations;
