-- Fails for keys that more than one row has: one row per dataset and pair.
select
    dataset,
    annotator,
    other_annotator,
    count(*) as num_rows
from label_agreement
group by dataset, annotator, other_annotator
having count(*) > 1;
