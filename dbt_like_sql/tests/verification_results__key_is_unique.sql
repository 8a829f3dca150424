-- Fails for keys that more than one row has: one row per dataset, generator, method and N.
select
    dataset,
    generator,
    method,
    num_candidates,
    count(*) as num_rows
from verification_results
group by dataset, generator, method, num_candidates
having count(*) > 1;
