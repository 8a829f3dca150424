-- Fails for doubts that the counts and reasons do not give.
select *
from doubtful_grades
where
    doubt not in ('both verdicts', 'given up')
    or (doubt = 'both verdicts') != (num_correct between 1 and num_answers - 1);
