-- Fails for pairs whose four counts do not add up, or that are out of alphabetical order.
select *
from label_agreement
where
    num_both_good + num_both_wrong + num_only_first_good + num_only_second_good != num_steps
    or cohen_kappa not between -1 and 1
    or annotator >= other_annotator;
