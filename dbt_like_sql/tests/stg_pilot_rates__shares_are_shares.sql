-- Fails for rates outside 0 to 1, and for weights that do not sum to 1.
select *
from stg_pilot_rates
where
    false_success_rate not between 0 and 1
    or mending_rate not between 0 and 1
    or list_min(success_rates) < 0
    or list_max(success_rates) > 1
    or abs(list_sum(difficulty_weights) - 1) > 1e-6
    or len(difficulty_weights) != len(success_rates);
