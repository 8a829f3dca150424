-- Which problems does the report show? Every dataset and split has its turn, problems with a
-- suspicious solution first, until the page has `max_page_solutions` solutions, of which at most
-- `max_solutions` are of one problem.
-- Grain: one row per problem.
with distinct_solutions as (
    select
        problem_id,
        is_correct,
        num_samples
    from stg_solutions
    union all
    select
        problem_id,
        any_value(is_correct) as is_correct,
        count(*) as num_samples
    from stg_candidates
    group by problem_id, generator, solution_text
),

draws as (
    select
        problem_id,
        sum(num_samples)::bigint as num_draws,
        coalesce(sum(num_samples) filter (where is_correct), 0)::bigint as num_correct,
        count(*) as num_distinct
    from distinct_solutions
    group by problem_id
),

ranked as (
    select
        problems.*,
        draws.num_draws,
        draws.num_correct,
        draws.num_distinct,
        least(draws.num_distinct, getvariable('max_solutions')) as num_shown,
        row_number() over (
            partition by problems.dataset, problems.split
            order by
                problems.problem_id not in (select problem_id from suspicious_solutions),
                problems.problem_id
        ) as place
    from stg_problems as problems
    inner join draws using (problem_id)
)

select * exclude (num_shown, place)
from ranked
qualify
    sum(num_shown) over (order by place, dataset, split) <= getvariable('max_page_solutions')
order by dataset asc, split desc, problem_id asc;
