-- Fails for keys that more than one row has: one row per stage, dataset, shard and model.
select
    stage,
    dataset,
    shard,
    model,
    count(*) as num_rows
from stg_costs
group by stage, dataset, shard, model
having count(*) > 1;
