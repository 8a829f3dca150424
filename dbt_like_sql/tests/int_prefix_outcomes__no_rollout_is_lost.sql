-- Fails for completers with another number of rollouts than in staging.
with drawn as (
    select
        completer,
        count(*) as num_drawn
    from stg_rollouts
    group by completer
),

counted as (
    select
        completer,
        sum(num_rollouts) as num_counted
    from int_prefix_outcomes
    group by completer
)

select *
from drawn
full join counted using (completer)
where num_drawn is distinct from num_counted;
