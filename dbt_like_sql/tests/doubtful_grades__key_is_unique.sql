-- Fails for keys that more than one row has: one row per problem and answer.
select
    problem_id,
    answer,
    count(*) as num_rows
from doubtful_grades
group by problem_id, answer
having count(*) > 1;
