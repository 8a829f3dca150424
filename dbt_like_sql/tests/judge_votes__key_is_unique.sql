-- Fails for keys that more than one row has: one row per dataset and judge.
select
    dataset,
    judge,
    count(*) as num_rows
from judge_votes
group by dataset, judge
having count(*) > 1;
