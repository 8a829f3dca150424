-- Fails for keys that more than one row has: one row per dataset, annotator and position.
select
    dataset,
    annotator,
    step_index,
    count(*) as num_rows
from label_quality
group by dataset, annotator, step_index
having count(*) > 1;
