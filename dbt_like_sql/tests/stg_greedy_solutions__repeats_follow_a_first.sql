-- Fails for solutions of which every step is said to repeat an earlier one.
select *
from stg_greedy_solutions
where num_repeated_steps < 0 or num_repeated_steps > greatest(num_steps - 1, 0);
