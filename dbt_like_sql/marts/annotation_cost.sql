-- How many rollouts, tokens and seconds does a step label cost? How many rollouts were saved
-- because solutions share prefixes, and because annotators stopped before N?
-- Grain: one row per dataset and completer.
with spent as (
    select
        dataset,
        model,
        sum(num_requests)::bigint as num_rollouts,
        sum(num_merged)::bigint as num_merged,
        sum(num_spared)::bigint as num_spared,
        sum(prompt_tokens)::bigint as prompt_tokens,
        sum(completion_tokens)::bigint as completion_tokens,
        sum(seconds) as seconds
    from stg_costs
    where stage = 'rollouts'
    group by dataset, model
),

labelled as (
    select
        dataset,
        count(distinct step_id) as num_labels,
        count(distinct solution_id) as num_solutions
    from int_labelled_steps
    -- Only labels that cost rollouts count: no last steps, no annotators without rollouts.
    where not is_last and annotator in (select annotator from stg_asked_rollouts)
    group by dataset
)

select
    spent.dataset,
    spent.model,
    coalesce(labelled.num_labels, 0) as num_labels,
    spent.num_rollouts,
    spent.num_merged,
    spent.num_merged / nullif(spent.num_rollouts + spent.num_merged, 0) as share_merged,
    spent.num_spared,
    spent.num_spared / nullif(spent.num_rollouts + spent.num_spared, 0) as share_spared,
    spent.prompt_tokens,
    spent.completion_tokens,
    spent.seconds,
    spent.num_rollouts / nullif(num_labels, 0) as rollouts_per_label,
    spent.completion_tokens / nullif(num_labels, 0) as tokens_per_label,
    spent.seconds / nullif(num_labels, 0) as seconds_per_label,
    spent.completion_tokens / nullif(labelled.num_solutions, 0) as tokens_per_solution
from spent
left join labelled using (dataset)
order by spent.dataset, spent.model;
