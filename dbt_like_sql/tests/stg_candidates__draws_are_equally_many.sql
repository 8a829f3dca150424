-- Fails for problems with fewer candidates than another problem of the dataset and generator.
with drawn as (
    select
        problems.dataset,
        candidates.generator,
        candidates.problem_id,
        count(*) as num_candidates
    from stg_candidates as candidates
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset, candidates.generator, candidates.problem_id
)

select *
from drawn
qualify num_candidates < max(num_candidates) over (partition by dataset, generator);
