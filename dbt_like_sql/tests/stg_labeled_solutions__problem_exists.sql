-- Fails for labelled solutions without a problem, or with a problem of another dataset.
select labeled.*
from stg_labeled_solutions as labeled
anti join stg_problems using (problem_id, dataset);
