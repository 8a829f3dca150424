-- Fails for solutions of a problem that does not exist.
select *
from stg_solutions
anti join stg_problems using (problem_id);
