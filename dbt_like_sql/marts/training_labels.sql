-- Which labels train the reward models, by step position? Published labels are included.
-- Grain: one row per dataset, annotator and step position.
with step_labels as (
    select
        dataset,
        annotator,
        unnest(hard_labels) as hard,
        unnest(soft_labels) as soft,
        generate_subscripts(hard_labels, 1) as step_index
    from stg_labeled_solutions
)

select
    dataset,
    annotator,
    step_index,
    count(*) as num_steps,
    sum(hard)::bigint as num_good,
    avg(hard) as share_good,
    avg(soft) as mean_soft
from step_labels
group by dataset, annotator, step_index
order by dataset, annotator, step_index;
