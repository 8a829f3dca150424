-- How good would labels from fewer rollouts be? Hard and soft labels are computed from the first N
-- rollouts of each prefix and compared with the reference; last steps are left out. N goes up to
-- the smallest number of rollouts that a prefix has, so that every N covers the same steps.
-- Grain: one row per dataset, completer, reference and number of rollouts (N).
with patterns as (
    select
        truth.dataset,
        outcomes.completer,
        truth.reference,
        truth.true_hard,
        outcomes.num_rollouts as num_drawn,
        outcomes.correct_draws,
        count(*) as num_steps
    from int_true_labels as truth
    inner join int_prefix_outcomes as outcomes using (prefix_id)
    group by all
),

budgets as (
    select
        dataset,
        completer,
        reference,
        unnest(range(1, min(num_drawn) + 1)) as num_rollouts
    from patterns
    group by dataset, completer, reference
),

estimates as (
    select
        patterns.dataset,
        patterns.completer,
        patterns.reference,
        budgets.num_rollouts,
        patterns.num_steps,
        patterns.true_hard,
        len(list_filter(patterns.correct_draws, lambda draw: draw < budgets.num_rollouts))
            as num_correct,
        (num_correct > 0)::integer as hard,
        num_correct / budgets.num_rollouts as soft
    from patterns
    inner join budgets using (dataset, completer, reference)
)

select
    dataset,
    completer,
    reference,
    num_rollouts,
    sum(num_steps)::bigint as num_compared,
    coalesce(sum(num_steps) filter (where hard = 1 and true_hard = 0), 0)::bigint
        as num_false_good,
    coalesce(sum(num_steps) filter (where hard = 0 and true_hard = 1), 0)::bigint
        as num_false_wrong,
    (num_compared - num_false_good - num_false_wrong) / num_compared as hard_agreement,
    sum(num_steps * abs(soft - true_hard)) / num_compared as mean_soft_error
from estimates
group by dataset, completer, reference, num_rollouts
order by dataset, completer, reference, num_rollouts;
