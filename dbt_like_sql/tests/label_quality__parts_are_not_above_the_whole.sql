-- Fails where a part is larger than its whole.
select *
from label_quality
where
    num_good > num_steps
    or num_compared > num_steps
    or num_agreeing > num_compared
    or num_found_wrong > least(num_labelled_wrong, num_truly_wrong);
