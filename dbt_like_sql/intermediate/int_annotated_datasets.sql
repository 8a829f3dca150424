-- Which datasets have solutions, drawn or imported, that are labelled here? Labels of the others
-- were published with their solutions: those are in stg_labeled_solutions alone.
-- Grain: one row per dataset.
select dataset
from stg_costs
where stage = 'solutions'
union
select problems.dataset
from stg_solutions
inner join stg_problems as problems using (problem_id);
