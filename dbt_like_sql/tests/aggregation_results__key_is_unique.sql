-- Fails for keys that more than one row has: one row per dataset, generator and aggregation.
select
    dataset,
    generator,
    aggregation,
    count(*) as num_rows
from aggregation_results
group by dataset, generator, aggregation
having count(*) > 1;
