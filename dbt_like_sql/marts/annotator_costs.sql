-- How many rollouts did an annotator request? How many were saved because solutions share
-- prefixes, and because it stopped early? Rollouts of states inside steps and of solutions that
-- stayed without labels count too. The full budget is the largest number of rollouts that a prefix
-- of the dataset has. A consensus costs the rollouts that at least one of its two annotators
-- requested.
-- Grain: one row per dataset and annotator that uses rollouts.
with budgets as (
    select
        dataset,
        max(num_rollouts) as full_budget
    from int_prefix_outcomes
    group by dataset
),

labels as (
    select
        dataset,
        annotator,
        prefix_id,
        count(*) as num_steps
    from int_labelled_steps
    where not is_last
    group by dataset, annotator, prefix_id
),

prefixes as (
    select
        problems.dataset,
        requests.annotator,
        requests.num_rollouts as num_requested,
        requests.num_tokens as tokens_requested,
        coalesce(labels.num_steps, 0) as num_steps
    from stg_asked_rollouts as requests
    inner join stg_problems as problems using (problem_id)
    left join labels
        on
            requests.annotator = labels.annotator
            and requests.prefix_id = labels.prefix_id
),

labelled as (
    select
        dataset,
        annotator,
        sum(num_steps)::bigint as num_labelled
    from labels
    group by dataset, annotator
)

select
    prefixes.dataset,
    prefixes.annotator,
    budgets.full_budget,
    coalesce(any_value(labelled.num_labelled), 0) as num_labels,
    count(*) as num_prefixes,
    sum(prefixes.num_requested)::bigint as num_rollouts,
    sum(prefixes.num_requested * greatest(prefixes.num_steps - 1, 0))::bigint as num_merged,
    sum(budgets.full_budget - prefixes.num_requested)::bigint as num_stopped,
    num_merged / nullif(num_rollouts + num_merged, 0) as share_merged,
    num_stopped / nullif(num_rollouts + num_stopped, 0) as share_stopped,
    sum(prefixes.tokens_requested)::bigint as num_tokens,
    num_rollouts / nullif(num_labels, 0) as rollouts_per_label,
    num_tokens / nullif(num_labels, 0) as tokens_per_label
from prefixes
inner join budgets using (dataset)
left join labelled using (dataset, annotator)
group by prefixes.dataset, prefixes.annotator, budgets.full_budget
order by prefixes.dataset, prefixes.annotator;
