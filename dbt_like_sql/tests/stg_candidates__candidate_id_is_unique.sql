-- Fails for keys that more than one row has: one row per candidate.
select
    candidate_id,
    count(*) as num_rows
from stg_candidates
group by candidate_id
having count(*) > 1;
