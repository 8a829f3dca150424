-- Fails for solutions that do not exist.
select *
from suspicious_solutions
anti join stg_solutions using (solution_id);
