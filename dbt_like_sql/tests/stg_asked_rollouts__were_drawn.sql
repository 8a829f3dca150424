-- Fails where an annotator requested more rollouts than were drawn.
select requests.*
from stg_asked_rollouts as requests
left join int_prefix_outcomes as outcomes using (prefix_id)
where requests.num_rollouts > coalesce(outcomes.num_rollouts, 0);
