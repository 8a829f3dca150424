-- Fails for keys that more than one row has: one row per draw of a generator.
select
    problem_id,
    generator,
    draw,
    count(*) as num_rows
from stg_candidates
group by problem_id, generator, draw
having count(*) > 1;
