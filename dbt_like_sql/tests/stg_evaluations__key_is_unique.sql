-- Fails for keys that more than one row has: one row per dataset, generator, method and N.
select
    dataset,
    generator,
    method,
    num_candidates,
    count(*) as num_rows
from stg_evaluations
group by dataset, generator, method, num_candidates
having count(*) > 1;
