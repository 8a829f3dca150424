-- Fails for training rows whose hard labels differ from the step labels. Published labels are left
-- out, because they have no rows in stg_steps.
with gathered as (
    select
        solution_id,
        annotator,
        list(hard order by step_index) as hard_labels
    from int_labelled_steps
    group by solution_id, annotator
)

select
    labeled.solution_id,
    labeled.annotator,
    labeled.hard_labels,
    gathered.hard_labels as step_hard_labels
from stg_labeled_solutions as labeled
semi join int_annotated_datasets using (dataset)
left join gathered using (solution_id, annotator)
where labeled.hard_labels is distinct from gathered.hard_labels;
