-- Fails for shares outside 0 to 1.
select *
from label_agreement
where
    agreement not between 0 and 1
    or first_error_agreement not between 0 and 1
    or num_same_first_error > num_solutions;
