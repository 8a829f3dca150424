-- Fails for problems that are not known.
select *
from solved_problems
anti join stg_problems using (problem_id);
