-- Fails for Monte Carlo labels of last steps that differ from the correctness of the solution.
select *
from int_labelled_steps
where
    annotator = 'monte_carlo'
    and is_last
    and (hard != solution_is_correct::integer or soft != hard or num_rollouts > 0);
