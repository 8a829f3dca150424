-- How do hard and soft labels change with the number of rollouts? They are computed from the first
-- N rollouts of each prefix, with 95 % Wilson intervals, and compared with the labels from all
-- rollouts. N goes up to the smallest number of rollouts that a prefix of the dataset has, so that
-- every N covers the same prefixes.
-- Grain: one row per dataset, completer and number of rollouts (N).
with patterns as (
    select
        dataset,
        completer,
        num_rollouts as num_drawn,
        correct_draws,
        count(*) as num_prefixes
    from int_prefix_outcomes
    group by all
),

budgets as (
    select
        dataset,
        completer,
        unnest(range(1, min(num_drawn) + 1)) as num_rollouts
    from patterns
    group by dataset, completer
),

estimates as (
    select
        patterns.dataset,
        patterns.completer,
        budgets.num_rollouts,
        patterns.num_prefixes,
        len(list_filter(patterns.correct_draws, lambda draw: draw < budgets.num_rollouts))
            as num_correct,
        num_correct > 0 as is_good,
        num_correct / budgets.num_rollouts as soft,
        1.959963984540054 * sqrt(
            num_correct * (budgets.num_rollouts - num_correct) / budgets.num_rollouts
            + 0.960364705173531
        ) as reach,
        (num_correct + 1.920729410347062 - reach) / (budgets.num_rollouts + 3.841458820694124)
            as soft_low,
        (num_correct + 1.920729410347062 + reach) / (budgets.num_rollouts + 3.841458820694124)
            as soft_high,
        len(patterns.correct_draws) > 0 as is_good_at_last,
        len(patterns.correct_draws) / patterns.num_drawn as soft_at_last
    from patterns
    inner join budgets using (dataset, completer)
),

totals as (
    select
        dataset,
        completer,
        num_rollouts,
        sum(num_prefixes)::bigint as num_prefixes,
        coalesce(sum(num_prefixes) filter (where is_good), 0)::bigint as num_good,
        sum(num_prefixes * soft) / sum(num_prefixes) as mean_soft,
        sum(num_prefixes * greatest(soft_low, 0)) / sum(num_prefixes) as mean_soft_low,
        sum(num_prefixes * least(soft_high, 1)) / sum(num_prefixes) as mean_soft_high,
        coalesce(sum(num_prefixes) filter (where is_good != is_good_at_last), 0)::bigint
            as num_changed_later,
        sum(num_prefixes * abs(soft - soft_at_last)) / sum(num_prefixes) as mean_soft_change,
        1.959963984540054 * sqrt(
            num_good * (sum(num_prefixes) - num_good) / sum(num_prefixes) + 0.960364705173531
        ) as reach
    from estimates
    group by dataset, completer, num_rollouts
)

select
    dataset,
    completer,
    num_rollouts,
    num_prefixes,
    num_good,
    num_good / num_prefixes as share_good,
    greatest((num_good + 1.920729410347062 - reach) / (num_prefixes + 3.841458820694124), 0)
        as share_good_low,
    least((num_good + 1.920729410347062 + reach) / (num_prefixes + 3.841458820694124), 1)
        as share_good_high,
    mean_soft,
    mean_soft_low,
    mean_soft_high,
    num_changed_later,
    num_changed_later / num_prefixes as share_changed_later,
    mean_soft_change
from totals
order by dataset, completer, num_rollouts;
