-- Fails for solutions that do not exist.
select *
from monotonicity_violations
anti join stg_solutions using (solution_id);
