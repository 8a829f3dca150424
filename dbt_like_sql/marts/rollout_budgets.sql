-- How good would labels from fewer rollouts be? Hard and soft labels are computed again from the
-- first N rollouts of each prefix and compared with the truth (last steps left out).
-- Grain: one row per dataset, completer, reference and number of rollouts (N).
with running as (
    select
        prefix_id,
        completer,
        rollout_index + 1 as num_rollouts,
        sum(is_correct::integer) over draws as num_correct
    from stg_rollouts
    window draws as (partition by prefix_id, completer order by rollout_index)
),

estimates as (
    select
        truth.dataset,
        running.completer,
        truth.reference,
        running.num_rollouts,
        truth.true_hard,
        (running.num_correct > 0)::integer as hard,
        running.num_correct / running.num_rollouts as soft
    from running
    inner join int_true_labels as truth using (prefix_id)
)

select
    dataset,
    completer,
    reference,
    num_rollouts,
    count(*) as num_steps,
    avg((hard = true_hard)::integer) as hard_agreement,
    avg(abs(soft - true_hard)) as mean_soft_error,
    count(*) filter (where hard = 1 and true_hard = 0) as num_false_good,
    count(*) filter (where hard = 0 and true_hard = 1) as num_false_wrong
from estimates
group by dataset, completer, reference, num_rollouts
order by dataset, completer, reference, num_rollouts;
