-- How many rollouts did the labels of an annotator take, and what did it save to roll identical
-- prefixes out once and to stop early? All that it asked for counts, also for states inside steps
-- and for solutions that it left unlabelled. The full budget is the most rollouts that a prefix of
-- the dataset has. A consensus is paid for by what either of its two annotators asked for.
-- Grain: one row per dataset and annotator that rolls out.
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
        asked.annotator,
        asked.num_rollouts as num_needed,
        asked.num_tokens as tokens_needed,
        coalesce(labels.num_steps, 0) as num_steps
    from stg_asked_rollouts as asked
    inner join stg_problems as problems using (problem_id)
    left join labels
        on
            asked.annotator = labels.annotator
            and asked.prefix_id = labels.prefix_id
),

labelled as (
    select
        dataset,
        annotator,
        sum(num_steps)::bigint as num_found
    from labels
    group by dataset, annotator
)

select
    prefixes.dataset,
    prefixes.annotator,
    budgets.full_budget,
    coalesce(any_value(labelled.num_found), 0) as num_labels,
    count(*) as num_prefixes,
    sum(prefixes.num_needed)::bigint as num_rollouts,
    sum(prefixes.num_needed * greatest(prefixes.num_steps - 1, 0))::bigint as num_merged,
    sum(budgets.full_budget - prefixes.num_needed)::bigint as num_stopped,
    num_merged / nullif(num_rollouts + num_merged, 0) as share_merged,
    num_stopped / nullif(num_rollouts + num_stopped, 0) as share_stopped,
    sum(prefixes.tokens_needed)::bigint as num_tokens,
    num_rollouts / nullif(num_labels, 0) as rollouts_per_label,
    num_tokens / nullif(num_labels, 0) as tokens_per_label
from prefixes
inner join budgets using (dataset)
left join labelled using (dataset, annotator)
group by prefixes.dataset, prefixes.annotator, budgets.full_budget
order by prefixes.dataset, prefixes.annotator;
