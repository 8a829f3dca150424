-- Fails for keys that more than one row has: one row per problem, stage and generator.
select
    problem_id,
    stage,
    generator,
    count(*) as num_rows
from solved_problems
group by problem_id, stage, generator
having count(*) > 1;
