-- Fails for annotators whose positions do not add up to their labelled steps.
with labelled as (
    select
        dataset,
        annotator,
        count(*) as num_labels
    from int_labelled_steps
    where not is_last
    group by dataset, annotator
),

counted as (
    select
        dataset,
        annotator,
        sum(num_steps) as num_steps
    from label_quality
    group by dataset, annotator
)

select *
from labelled
full join counted using (dataset, annotator)
where num_labels is distinct from num_steps;
