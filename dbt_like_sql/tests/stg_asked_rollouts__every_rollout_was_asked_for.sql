-- Fails for prefixes of which more was drawn than any annotator asked for.
select
    outcomes.prefix_id,
    outcomes.num_rollouts
from int_prefix_outcomes as outcomes
left join stg_asked_rollouts as asked using (prefix_id)
group by outcomes.prefix_id, outcomes.completer, outcomes.num_rollouts
having outcomes.num_rollouts > coalesce(max(asked.num_rollouts), 0);
