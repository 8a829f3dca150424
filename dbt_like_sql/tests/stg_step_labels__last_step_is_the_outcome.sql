-- Fails for last steps whose Monte Carlo label is not their solution's own correctness.
select *
from int_labelled_steps
where
    annotator = 'monte_carlo'
    and is_last
    and (hard != solution_is_correct::integer or soft != hard or num_rollouts > 0);
