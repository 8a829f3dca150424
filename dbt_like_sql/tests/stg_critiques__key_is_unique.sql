-- Fails for keys that more than one row has: one row per solution, judge and vote.
select
    solution_id,
    judge,
    vote,
    count(*) as num_rows
from stg_critiques
group by solution_id, judge, vote
having count(*) > 1;
