-- Is a score of the reward model the probability that a step is good? Scores of held-out problems
-- are compared with labels and with the true labels. Intervals are 95 % Wilson intervals.
-- Grain: one row per dataset, reward model, annotator and tenth of the score. A score of 1 is in
-- the last tenth.
with counts as (
    select
        dataset,
        reward_model,
        annotator,
        least(floor(score * 10)::integer, 9) as tenth,
        count(*) as num_steps,
        avg(score) as mean_score,
        avg(soft) as mean_soft,
        sum(hard)::bigint as num_good,
        count(true_hard) as num_compared,
        sum(true_hard)::bigint as num_truly_good
    from int_scored_steps
    group by dataset, reward_model, annotator, tenth
),

reaches as (
    select
        *,
        1.959963984540054 * sqrt(
            num_good * (num_steps - num_good) / num_steps + 0.960364705173531
        ) as reach,
        1.959963984540054 * sqrt(
            num_truly_good * (num_compared - num_truly_good) / nullif(num_compared, 0)
            + 0.960364705173531
        ) as true_reach
    from counts
)

select
    dataset,
    reward_model,
    annotator,
    tenth,
    num_steps,
    mean_score,
    mean_soft,
    num_good / num_steps as share_good,
    greatest((num_good + 1.920729410347062 - reach) / (num_steps + 3.841458820694124), 0)
        as share_good_low,
    least((num_good + 1.920729410347062 + reach) / (num_steps + 3.841458820694124), 1)
        as share_good_high,
    num_compared,
    num_truly_good / nullif(num_compared, 0) as share_truly_good,
    greatest(
        (num_truly_good + 1.920729410347062 - true_reach) / (num_compared + 3.841458820694124), 0
    ) as share_truly_good_low,
    least(
        (num_truly_good + 1.920729410347062 + true_reach) / (num_compared + 3.841458820694124), 1
    ) as share_truly_good_high
from reaches
order by dataset, reward_model, annotator, tenth;
