-- Fails for rows with a null where there must be none.
select *
from calibration_bins
where
    dataset is null
    or annotator is null
    or reference is null
    or tenth is null
    or mean_soft is null
    or share_truly_good is null;
