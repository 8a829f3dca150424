-- Fails for labelled solutions of no known problem, or of a problem of another dataset.
select labeled.*
from stg_labeled_solutions as labeled
anti join stg_problems using (problem_id, dataset);
