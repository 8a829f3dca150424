-- Fails for soft labels outside 0 to 1.
select *
from stg_step_labels
where soft not between 0 and 1 or isnan(soft);
