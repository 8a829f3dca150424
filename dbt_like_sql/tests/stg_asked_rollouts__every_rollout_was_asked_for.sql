-- Fails for prefixes with more rollouts than any annotator requested.
select
    outcomes.prefix_id,
    outcomes.num_rollouts
from int_prefix_outcomes as outcomes
left join stg_asked_rollouts as requests using (prefix_id)
group by outcomes.prefix_id, outcomes.completer, outcomes.num_rollouts
having outcomes.num_rollouts > coalesce(max(requests.num_rollouts), 0);
