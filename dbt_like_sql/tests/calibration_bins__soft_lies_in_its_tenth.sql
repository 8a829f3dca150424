-- Fails for bins whose mean soft label is outside the bin.
select *
from calibration_bins
where
    tenth not between 0 and 9
    or mean_soft not between tenth / 10 - 1e-9 and (tenth + 1) / 10 + 1e-9
    or share_truly_good not between 0 and 1;
