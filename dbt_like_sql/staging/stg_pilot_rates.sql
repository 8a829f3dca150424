-- Which rates of the completer did adaptive learn from the pilot?
-- Grain: one row per dataset.
select
    dataset,
    num_pilot_problems,
    num_pilot_rollouts,
    success_rates,
    weights as difficulty_weights,
    of_each_step,
    false_success_rate,
    mending_rate,
    right_concentration,
    wrong_concentration
from lake.pilot_rates;
