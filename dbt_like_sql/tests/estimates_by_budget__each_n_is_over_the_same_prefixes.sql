-- Fails for rows that do not cover all prefixes of their completer.
with prefixes as (
    select
        dataset,
        completer,
        count(*) as num_rolled_out
    from int_prefix_outcomes
    group by dataset, completer
)

select *
from estimates_by_budget
left join prefixes using (dataset, completer)
where num_prefixes is distinct from num_rolled_out;
