-- Fails for bins whose mean soft label is outside the bin, and for shares outside 0 to 1.
select *
from pilot_calibration
where
    tenth not between 0 and 9
    or mean_soft not between tenth / 10 - 1e-9 and (tenth + 1) / 10 + 1e-9
    or share_of_rollouts_correct not between 0 and 1
    or share_reached not between share_of_rollouts_correct - 1e-9 and 1;
