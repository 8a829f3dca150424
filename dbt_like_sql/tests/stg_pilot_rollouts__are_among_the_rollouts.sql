-- Fails for rollouts of the pilot that stg_rollouts lacks, or holds with another text.
select pilot.*
from stg_pilot_rollouts as pilot
anti join stg_rollouts as rollouts
    on
        rollouts.prefix_id = pilot.prefix_id
        and rollouts.completer = pilot.completer
        and rollouts.rollout_index = pilot.rollout_index
        and rollouts.rollout_text = pilot.rollout_text;
