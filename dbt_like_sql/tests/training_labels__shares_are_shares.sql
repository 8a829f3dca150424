-- Fails for shares outside 0 to 1.
select *
from training_labels
where share_good not between 0 and 1 or mean_soft not between 0 and 1;
