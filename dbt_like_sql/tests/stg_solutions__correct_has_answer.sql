-- Fails for right solutions without an answer.
select *
from stg_solutions
where is_correct and answer is null;
