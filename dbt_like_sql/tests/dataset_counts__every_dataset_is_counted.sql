-- Fails for datasets without a row, or with another number of problems than in staging.
select
    problems.dataset,
    count(*) as num_in_staging,
    any_value(counts.num_problems) as num_problems
from stg_problems as problems
left join dataset_counts as counts using (dataset)
group by problems.dataset
having count(*) is distinct from any_value(counts.num_problems);
