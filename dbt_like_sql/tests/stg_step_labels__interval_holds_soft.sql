-- Fails for soft labels outside their interval, and for intervals outside 0 to 1.
select *
from stg_step_labels
where soft not between soft_low and soft_high or soft_low < 0 or soft_high > 1;
