-- Fails for keys that more than one row has: one row per dataset, annotator, reference and tenth.
select
    dataset,
    annotator,
    reference,
    tenth,
    count(*) as num_rows
from calibration_bins
group by dataset, annotator, reference, tenth
having count(*) > 1;
