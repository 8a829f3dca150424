-- Fails for keys that more than one row has: one row per dataset, annotator, generator, position.
select
    dataset,
    annotator,
    generator,
    step_index,
    count(*) as num_rows
from label_quality
group by dataset, annotator, generator, step_index
having count(*) > 1;
