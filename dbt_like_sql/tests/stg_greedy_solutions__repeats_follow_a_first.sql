-- Fails for solutions with as many repeated steps as steps. The first step repeats no other.
select *
from stg_greedy_solutions
where num_repeated_steps < 0 or num_repeated_steps > greatest(num_steps - 1, 0);
