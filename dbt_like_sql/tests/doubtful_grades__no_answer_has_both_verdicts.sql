-- Fails for answers with both verdicts. Equal pairs of gold answer and answer must have one
-- verdict.
select *
from doubtful_grades
where doubt = 'both verdicts';
