-- Fails for keys that more than one row has: one row per problem.
select
    problem_id,
    count(*) as num_rows
from stg_problems
group by problem_id
having count(*) > 1;
