-- Fails for annotators whose positions do not add up to the labels of their solutions.
with labelled as (
    select
        dataset,
        annotator,
        sum(len(hard_labels)) as num_labels
    from stg_labeled_solutions
    group by dataset, annotator
),

counted as (
    select
        dataset,
        annotator,
        sum(num_steps) as num_steps
    from training_labels
    group by dataset, annotator
)

select *
from labelled
full join counted using (dataset, annotator)
where num_labels is distinct from num_steps;
