-- Fails for rows with a null where there must be none.
select *
from stg_rollouts
where
    prefix_id is null
    or problem_id is null
    or completer is null
    or rollout_index is null
    or is_correct is null;
