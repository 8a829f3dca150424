-- How accurate is a policy, compared with the generator that it started from?
-- Grain: one row per dataset and policy. Generators are policies with a gain of 0.
select
    dataset,
    policy,
    start as start_policy,
    method,
    accuracy,
    low as accuracy_low,
    high as accuracy_high,
    gain,
    gain_low,
    gain_high,
    num_problems,
    mean_tokens,
    mean_steps,
    share_repeating,
    share_cut
from lake.policy_evaluations;
