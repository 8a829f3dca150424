-- Fails where an annotator asked for more than was drawn.
select asked.*
from stg_asked_rollouts as asked
left join int_prefix_outcomes as outcomes using (prefix_id)
where asked.num_rollouts > coalesce(outcomes.num_rollouts, 0);
