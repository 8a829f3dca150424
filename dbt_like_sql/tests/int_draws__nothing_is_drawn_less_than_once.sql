-- Fails for draws that count for nothing.
select *
from int_draws
where num_samples < 1;
