-- Which training method improves a policy most, and do its solutions become longer or repetitive?
-- Grain: one row per dataset and policy, generators included.
select
    results.dataset,
    results.policy,
    results.start_policy,
    results.method,
    results.accuracy,
    results.accuracy_low,
    results.accuracy_high,
    results.gain,
    results.gain_low,
    results.gain_high,
    results.num_problems,
    results.mean_tokens,
    results.mean_tokens - starts.mean_tokens as more_tokens,
    results.mean_steps,
    results.mean_steps - starts.mean_steps as more_steps,
    results.share_repeating,
    results.share_cut
from stg_policy_evaluations as results
inner join stg_policy_evaluations as starts
    on results.dataset = starts.dataset and results.start_policy = starts.policy
order by results.dataset, results.start_policy, results.accuracy;
