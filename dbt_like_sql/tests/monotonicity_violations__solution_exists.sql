-- Fails for solutions that were never sampled.
select *
from monotonicity_violations
anti join stg_solutions using (solution_id);
