-- How many rollouts did the labels of an annotator take, and what did it save to roll identical
-- prefixes out once and to stop early? The full budget is the most rollouts that a prefix of the
-- dataset has. Tokens are those of the mean rollout from the same prefix.
-- Grain: one row per dataset and annotator that counts rollouts.
with lengths as (
    select
        prefix_id,
        sum(num_tokens) / sum(num_rollouts) as tokens_per_rollout
    from int_prefix_outcomes
    group by prefix_id
),

budgets as (
    select
        dataset,
        max(num_rollouts) as full_budget
    from int_prefix_outcomes
    group by dataset
),

prefixes as (
    select
        dataset,
        annotator,
        prefix_id,
        count(*) as num_steps,
        max(num_rollouts) as num_needed,
        sum(num_rollouts) as num_wanted
    from int_labelled_steps
    where not is_last
    group by dataset, annotator, prefix_id
)

select
    prefixes.dataset,
    prefixes.annotator,
    budgets.full_budget,
    sum(prefixes.num_steps)::bigint as num_labels,
    count(*) as num_prefixes,
    sum(prefixes.num_needed)::bigint as num_rollouts,
    sum(prefixes.num_wanted - prefixes.num_needed)::bigint as num_merged,
    sum(greatest(budgets.full_budget - prefixes.num_needed, 0))::bigint as num_stopped,
    num_merged / nullif(num_rollouts + num_merged, 0) as share_merged,
    num_stopped / nullif(num_rollouts + num_stopped, 0) as share_stopped,
    sum(prefixes.num_needed * lengths.tokens_per_rollout) as num_tokens,
    num_rollouts / num_labels as rollouts_per_label,
    num_tokens / num_labels as tokens_per_label
from prefixes
inner join budgets using (dataset)
left join lengths using (prefix_id)
group by prefixes.dataset, prefixes.annotator, budgets.full_budget
having num_rollouts > 0
order by prefixes.dataset, prefixes.annotator;
