-- Fails for questions that a dataset has in train and in test.
select
    dataset,
    question
from stg_problems
group by dataset, question
having count(distinct split) > 1;
