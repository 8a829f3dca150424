-- Fails for answers to a problem that does not exist.
select *
from doubtful_grades
anti join stg_problems using (problem_id);
