-- Fails for keys that more than one row has: one row per dataset and annotator.
select
    dataset,
    annotator,
    count(*) as num_rows
from annotator_costs
group by dataset, annotator
having count(*) > 1;
