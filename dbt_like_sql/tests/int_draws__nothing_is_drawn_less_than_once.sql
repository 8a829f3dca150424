-- Fails for solutions with fewer than one draw.
select *
from int_draws
where num_samples < 1;
