-- Fails for keys that more than one row has: one row per problem and model.
select
    problem_id,
    generator,
    count(*) as num_rows
from stg_greedy_solutions
group by problem_id, generator
having count(*) > 1;
