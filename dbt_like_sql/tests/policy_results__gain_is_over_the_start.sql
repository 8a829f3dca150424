-- Fails for gains outside their interval, or that are not the difference of the two accuracies.
select
    results.*,
    starts.accuracy as start_accuracy
from policy_results as results
inner join policy_results as starts
    on results.dataset = starts.dataset and results.start_policy = starts.policy
where
    abs(results.gain - (results.accuracy - starts.accuracy)) > 1e-9
    or results.gain < results.gain_low - 1e-9
    or results.gain > results.gain_high + 1e-9;
