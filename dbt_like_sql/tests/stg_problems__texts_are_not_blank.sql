-- Fails for problems without a question or a gold answer.
select *
from stg_problems
where trim(question) = '' or trim(gold_answer) = '';
