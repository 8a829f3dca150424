-- Fails for questions of a dataset that are in more than one split.
select
    dataset,
    question
from stg_problems
group by dataset, question
having count(distinct split) > 1;
