-- Which datasets have solutions that this pipeline labels? The other datasets have published
-- labels only, which are in stg_labeled_solutions.
-- Grain: one row per dataset.
select dataset
from stg_costs
where stage = 'solutions'
union
select problems.dataset
from stg_solutions
inner join stg_problems as problems using (problem_id);
