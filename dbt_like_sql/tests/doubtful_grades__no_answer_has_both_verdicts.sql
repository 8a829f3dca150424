-- Fails for answers that were called right once and wrong once: equal pairs have one verdict.
select *
from doubtful_grades
where doubt = 'both verdicts';
