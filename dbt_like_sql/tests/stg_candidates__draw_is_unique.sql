-- Fails for draws of a problem and generator that more than one row has.
select
    problem_id,
    generator,
    draw,
    count(*) as num_rows
from stg_candidates
group by problem_id, generator, draw
having count(*) > 1;
