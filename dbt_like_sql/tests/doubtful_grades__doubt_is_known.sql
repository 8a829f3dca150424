-- Fails where the doubt contradicts the counts.
select *
from doubtful_grades
where
    doubt not in ('both verdicts', 'given up')
    or (doubt = 'both verdicts') != (num_correct between 1 and num_answers - 1);
