-- Fails for keys that more than one row has: one row per dataset and completer.
select
    dataset,
    model,
    count(*) as num_rows
from annotation_cost
group by dataset, model
having count(*) > 1;
