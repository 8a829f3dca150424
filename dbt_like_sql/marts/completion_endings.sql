-- How many completions were cut at the token limit, failed, have no answer, or repeat the text of
-- another draw? A cut completion loops if at least half of its lines repeat other lines.
-- Grain: one row per dataset, stage and model.
with completions as (
    select
        'solutions' as stage,
        problem_id,
        generator as model,
        num_samples,
        finish_reason,
        answer,
        num_tokens,
        solution_text as completion_text
    from stg_solutions
    union all
    select
        'candidates' as stage,
        problem_id,
        generator as model,
        1 as num_samples,
        finish_reason,
        answer,
        num_tokens,
        solution_text as completion_text
    from stg_candidates
    union all
    select
        'rollouts' as stage,
        problem_id,
        completer as model,
        1 as num_samples,
        finish_reason,
        answer,
        num_tokens,
        rollout_text as completion_text
    from stg_rollouts
),

endings as (
    select
        problems.dataset,
        completions.stage,
        completions.model,
        sum(num_samples)::bigint as num_completions,
        sum(num_samples * (finish_reason = 'length')::integer)::bigint as num_truncated,
        sum(
            num_samples * (
                case
                    when finish_reason = 'length'
                        then
                            2 * list_unique(string_split(completion_text, chr(10)))
                            <= len(string_split(completion_text, chr(10)))
                    else false
                end
            )::integer
        )::bigint as num_looping,
        sum(num_samples * (finish_reason = 'error')::integer)::bigint as num_failed,
        sum(num_samples * (answer is null)::integer)::bigint as num_unanswered,
        sum(num_samples * num_tokens) / sum(num_samples) as mean_tokens,
        max(num_tokens) as max_tokens
    from completions
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, completions.stage, completions.model
),

distinct_candidates as (
    select
        problem_id,
        generator,
        count(*) - count(distinct hash(solution_text)) as num_repeated
    from stg_candidates
    group by problem_id, generator
),

repeats as (
    select
        problem_id,
        'solutions' as stage,
        generator as model,
        num_samples - 1 as num_repeated
    from stg_solutions
    union all
    select
        problem_id,
        'candidates' as stage,
        generator as model,
        num_repeated
    from distinct_candidates
    union all
    select
        problem_id,
        'rollouts' as stage,
        completer as model,
        num_rollouts - num_distinct_rollouts as num_repeated
    from int_prefix_outcomes
),

repeated as (
    select
        problems.dataset,
        repeats.stage,
        repeats.model,
        sum(repeats.num_repeated)::bigint as num_repeated
    from repeats
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, repeats.stage, repeats.model
)

select
    dataset,
    stage,
    model,
    num_completions,
    num_truncated,
    num_looping,
    num_failed,
    num_unanswered,
    num_repeated,
    num_truncated / num_completions as share_truncated,
    num_unanswered / num_completions as share_unanswered,
    num_repeated / num_completions as share_repeated,
    mean_tokens,
    max_tokens
from endings
inner join repeated using (dataset, stage, model)
order by dataset, stage, model;
