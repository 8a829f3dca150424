-- Fails for problems that do not exist.
select *
from solved_problems
anti join stg_problems using (problem_id);
