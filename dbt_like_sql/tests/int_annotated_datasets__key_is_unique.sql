-- Fails for keys that more than one row has: one row per dataset.
select
    dataset,
    count(*) as num_rows
from int_annotated_datasets
group by dataset
having count(*) > 1;
