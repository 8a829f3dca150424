-- Fails for solutions that were never drawn.
select *
from stg_solutions
where num_samples < 1;
