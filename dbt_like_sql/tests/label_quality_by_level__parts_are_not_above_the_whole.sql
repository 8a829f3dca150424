-- Fails where a part is larger than its whole.
select *
from label_quality_by_level
where num_agreeing + num_false_wrong + num_false_good != num_compared or num_compared > num_steps;
