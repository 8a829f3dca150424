-- Fails for steps of no known solution.
select *
from stg_steps
anti join stg_solutions using (solution_id);
