-- Fails for keys that more than one row has: one row per dataset, annotator and step position.
select
    dataset,
    annotator,
    step_index,
    count(*) as num_rows
from training_labels
group by dataset, annotator, step_index
having count(*) > 1;
