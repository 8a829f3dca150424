-- Fails for keys that more than one row has: one row per annotator and prefix.
select
    annotator,
    prefix_id,
    count(*) as num_rows
from stg_asked_rollouts
group by annotator, prefix_id
having count(*) > 1;
