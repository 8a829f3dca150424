-- Fails for estimates outside their interval, and for intervals outside 0 to 1.
select *
from estimates_by_budget
where
    share_good not between share_good_low - 1e-9 and share_good_high + 1e-9
    or mean_soft not between mean_soft_low - 1e-9 and mean_soft_high + 1e-9
    or least(share_good_low, mean_soft_low) < 0
    or greatest(share_good_high, mean_soft_high) > 1;
