-- Fails for keys that more than one row has: one row per dataset, stage and model.
select
    dataset,
    stage,
    model,
    count(*) as num_rows
from completion_endings
group by dataset, stage, model
having count(*) > 1;
