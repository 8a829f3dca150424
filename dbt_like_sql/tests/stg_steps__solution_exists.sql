-- Fails for steps of a solution that does not exist.
select *
from stg_steps
anti join stg_solutions using (solution_id);
