-- Where do a reward model and an annotator agree, and which of them is right? Steps of held-out
-- problems are compared by their position, the length of their solution and the level of their
-- problem; the model calls a step good from a score of 0.5. Last steps are left out.
-- Grain: one row per dataset, reward model, annotator, part (position, length or level) and value.
with parts as (
    select
        *,
        unnest(['position', 'length', 'level']) as part,
        unnest([step_index::varchar, num_steps::varchar, level]) as part_value,
        (score >= 0.5)::integer as score_hard
    from int_scored_steps
    where not is_last
),

counts as (
    select
        dataset,
        reward_model,
        annotator,
        part,
        part_value,
        count(*) as num_steps,
        avg(score) as mean_score,
        avg(soft) as mean_soft,
        count(*) filter (where score_hard = hard) as num_agreeing,
        count(true_hard) as num_compared,
        count(*) filter (where score_hard = true_hard) as num_score_right,
        count(*) filter (where hard = true_hard) as num_label_right
    from parts
    where part_value is not null
    group by dataset, reward_model, annotator, part, part_value
),

reaches as (
    select
        *,
        1.959963984540054 * sqrt(
            num_agreeing * (num_steps - num_agreeing) / num_steps + 0.960364705173531
        ) as reach
    from counts
)

select
    dataset,
    reward_model,
    annotator,
    part,
    part_value,
    num_steps,
    mean_score,
    mean_soft,
    num_agreeing / num_steps as agreement,
    greatest((num_agreeing + 1.920729410347062 - reach) / (num_steps + 3.841458820694124), 0)
        as agreement_low,
    least((num_agreeing + 1.920729410347062 + reach) / (num_steps + 3.841458820694124), 1)
        as agreement_high,
    num_compared,
    num_score_right / nullif(num_compared, 0) as share_score_right,
    num_label_right / nullif(num_compared, 0) as share_label_right
from reaches
order by dataset, reward_model, annotator, part, part_value;
