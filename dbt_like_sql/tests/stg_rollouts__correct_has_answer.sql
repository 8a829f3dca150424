-- Fails for right rollouts without an answer.
select *
from stg_rollouts
where is_correct and answer is null;
