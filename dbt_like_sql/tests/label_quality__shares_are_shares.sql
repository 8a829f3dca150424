-- Fails for shares outside 0 to 1.
select *
from label_quality
where
    share_good not between 0 and 1
    or mean_soft not between 0 and 1
    or agreement not between 0 and 1
    or wrong_precision not between 0 and 1
    or wrong_recall not between 0 and 1;
