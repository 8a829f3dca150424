-- Fails for solutions with fewer than one draw.
select *
from stg_solutions
where num_samples < 1;
