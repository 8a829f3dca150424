-- Fails for solutions of no known problem.
select *
from stg_solutions
anti join stg_problems using (problem_id);
