-- What do labels cost, and how often do they agree with the reference? Annotators that sample are
-- compared with the labels from the first N rollouts of each prefix. Last steps are left out. The
-- seconds of rollouts are shared out by their tokens.
-- Grain: one row per dataset and annotator, with num_rollouts 0, and per dataset, completer and
-- num_rollouts N (is_budget).
with speeds as (
    select
        dataset,
        sum(seconds) / nullif(sum(completion_tokens), 0) as seconds_per_token
    from stg_costs
    where stage = 'rollouts'
    group by dataset
),

quality as (
    select
        dataset,
        annotator,
        sum(num_steps)::bigint as num_labels,
        sum(num_compared)::bigint as num_compared,
        sum(num_agreeing)::bigint as num_agreeing
    from label_quality
    group by dataset, annotator
),

-- What annotators draw that ask a language model about whole solutions.
questions as (
    select
        dataset,
        if(stage = 'critiques', 'judge', 'nli') as annotator,
        sum(completion_tokens) as num_tokens,
        sum(seconds) as seconds
    from stg_costs
    where stage in ('critiques', 'nli_labels')
    group by dataset, annotator
),

annotators as (
    select
        dataset,
        annotator as labeller,
        false as is_budget,
        0 as num_rollouts,
        costs.tokens_per_label,
        costs.tokens_per_label * speeds.seconds_per_token as seconds_per_label,
        quality.num_compared,
        quality.num_agreeing
    from annotator_costs as costs
    inner join quality using (dataset, annotator)
    left join speeds using (dataset)
    union all
    select
        dataset,
        annotator as labeller,
        false as is_budget,
        0 as num_rollouts,
        questions.num_tokens / quality.num_labels as tokens_per_label,
        questions.seconds / quality.num_labels as seconds_per_label,
        quality.num_compared,
        quality.num_agreeing
    from questions
    inner join quality using (dataset, annotator)
),

drawn as (
    select
        problems.dataset,
        rollouts.completer,
        rollouts.rollout_index + 1 as num_rollouts,
        sum(rollouts.num_tokens) as num_tokens
    from stg_rollouts as rollouts
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, rollouts.completer, rollouts.rollout_index
),

spent as (
    select
        dataset,
        completer,
        num_rollouts,
        sum(num_tokens) over (partition by dataset, completer order by num_rollouts) as num_tokens
    from drawn
),

rolled_out as (
    select
        outcomes.dataset,
        outcomes.completer,
        count(*) as num_labels
    from int_prefix_outcomes as outcomes
    inner join stg_steps as steps using (prefix_id)
    where not steps.is_last
    group by outcomes.dataset, outcomes.completer
),

budgets as (
    select
        dataset,
        completer as labeller,
        true as is_budget,
        budgets.num_rollouts,
        spent.num_tokens / rolled_out.num_labels as tokens_per_label,
        spent.num_tokens / rolled_out.num_labels * speeds.seconds_per_token as seconds_per_label,
        budgets.num_compared,
        budgets.num_compared - budgets.num_false_good - budgets.num_false_wrong as num_agreeing
    from rollout_budgets as budgets
    inner join spent using (dataset, completer, num_rollouts)
    inner join rolled_out using (dataset, completer)
    left join speeds using (dataset)
),

labellers as (
    select * from annotators
    union all
    select * from budgets
)

select
    *,
    num_agreeing / num_compared as agreement
from labellers
where num_compared > 0
order by dataset, is_budget, labeller, num_rollouts;
