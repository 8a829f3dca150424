-- How many critiques of the judge are readable, and do its votes agree?
-- Grain: one row per dataset and judge.
with solutions as (
    select
        solution_id,
        judge,
        any_value(problem_id) as problem_id,
        count(*) as num_votes,
        count(*) filter (where is_unparsable) as num_unparsable,
        count(*) filter (where finish_reason = 'length') as num_truncated,
        count(*) filter (where finish_reason = 'error') as num_failed,
        count(*) filter (where not is_unparsable and first_wrong_step is null) as num_no_error,
        count(distinct coalesce(first_wrong_step, 0)) filter (where not is_unparsable)
            as num_opinions,
        sum(num_tokens) as num_tokens
    from stg_critiques
    group by solution_id, judge
)

select
    problems.dataset,
    solutions.judge,
    count(*) as num_solutions,
    sum(num_votes)::bigint as num_votes,
    sum(num_unparsable)::bigint as num_unparsable,
    sum(num_truncated)::bigint as num_truncated,
    sum(num_failed)::bigint as num_failed,
    sum(num_no_error)::bigint as num_no_error,
    count(*) filter (where num_opinions = 0) as num_unlabelled,
    count(*) filter (where num_opinions > 1) as num_divided,
    sum(num_unparsable) / sum(num_votes) as share_unparsable,
    sum(num_tokens) / sum(num_votes) as mean_tokens
from solutions
inner join stg_problems as problems using (problem_id)
group by problems.dataset, solutions.judge
order by problems.dataset, solutions.judge;
