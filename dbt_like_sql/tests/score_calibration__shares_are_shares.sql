-- Fails for shares outside 0 to 1, or outside their interval.
select *
from score_calibration
where
    not share_good between share_good_low - 1e-9 and share_good_high + 1e-9
    or not share_truly_good between share_truly_good_low - 1e-9 and share_truly_good_high + 1e-9
    or share_good_low < 0
    or share_good_high > 1;
