-- Fails where solved_by contradicts the counts.
select *
from solved_problems
where
    num_correct not between 0 and num_draws
    or (solved_by = 'none') != (num_correct = 0)
    or (solved_by = 'all') != (num_correct = num_draws);
