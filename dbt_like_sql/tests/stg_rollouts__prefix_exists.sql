-- Fails for rollouts from no prefix of a solution, or from a whole solution.
select rollouts.*
from stg_rollouts as rollouts
anti join (from stg_steps where not is_last) as steps using (prefix_id);
