-- Fails for answers to no known problem.
select *
from doubtful_grades
anti join stg_problems using (problem_id);
