-- Fails for keys that more than one row has: one row per dataset, stage, model and reason.
select
    dataset,
    stage,
    model,
    grade_reason,
    count(*) as num_rows
from grading_reasons
group by dataset, stage, model, grade_reason
having count(*) > 1;
