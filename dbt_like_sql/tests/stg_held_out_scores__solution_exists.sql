-- Fails for scores of solutions that do not exist.
select *
from stg_held_out_scores
anti join stg_labeled_solutions using (solution_id);
