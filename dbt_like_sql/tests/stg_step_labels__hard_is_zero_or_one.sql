-- Fails for hard labels other than 0 and 1.
select *
from stg_step_labels
where hard not in (0, 1);
