-- Which problems does the report show? At most `max_problems` of each dataset and split, problems
-- with a suspicious solution first.
-- Grain: one row per problem.
with shown as (
    select *
    from stg_problems
    where problem_id in (select problem_id from int_draws)
    qualify row_number() over (
        partition by dataset, split
        order by problem_id not in (select problem_id from suspicious_solutions), problem_id
    ) <= getvariable('max_problems')
),

distinct_solutions as (
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
)

select
    shown.*,
    sum(drawn.num_samples)::bigint as num_draws,
    coalesce(sum(drawn.num_samples) filter (where drawn.is_correct), 0)::bigint as num_correct,
    count(*) as num_distinct
from shown
inner join distinct_solutions as drawn using (problem_id)
group by all
order by shown.dataset asc, shown.split desc, shown.problem_id asc;
