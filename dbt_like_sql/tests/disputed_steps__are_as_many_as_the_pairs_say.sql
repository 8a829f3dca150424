-- Fails for datasets whose disputed steps contradict the counts in label_agreement.
with pairs as (
    select
        dataset,
        sum(num_only_first_good + num_only_second_good) as num_differences
    from label_agreement
    group by dataset
),

steps as (
    select
        dataset,
        count(*) as num_steps
    from disputed_steps
    group by dataset
)

select *
from pairs
full join steps using (dataset)
where
    (coalesce(num_steps, 0) > 0) != (coalesce(num_differences, 0) > 0)
    or coalesce(num_steps, 0) > coalesce(num_differences, 0);
