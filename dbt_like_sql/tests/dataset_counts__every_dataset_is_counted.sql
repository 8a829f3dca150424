-- Fails for datasets that have problems and no row, and for rows that lose problems.
select
    problems.dataset,
    count(*) as num_in_staging,
    any_value(counts.num_problems) as num_problems
from stg_problems as problems
left join dataset_counts as counts using (dataset)
group by problems.dataset
having count(*) is distinct from any_value(counts.num_problems);
