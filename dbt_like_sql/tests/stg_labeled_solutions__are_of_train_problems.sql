-- Fails for training rows of test problems.
select labeled.*
from stg_labeled_solutions as labeled
inner join stg_problems as problems using (problem_id)
where problems.split != 'train';
