-- Fails for accuracies outside 0 to 1 or outside their interval.
select *
from verification_results
where
    accuracy not between 0 and 1
    or accuracy < accuracy_low - 1e-9
    or accuracy > accuracy_high + 1e-9;
