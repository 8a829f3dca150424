-- Fails for solutions that were never sampled.
select *
from suspicious_solutions
anti join stg_solutions using (solution_id);
