-- Fails for labelled solutions that were never sampled.
select *
from stg_labeled_solutions
anti join stg_solutions using (solution_id);
