-- Fails for rejected rows without a reason.
select *
from stg_rejected
where trim(reason) = '' or line_number < 1;
