-- Fails for scores outside 0 to 1. A step past the window has none.
select *
from stg_held_out_scores
where len(list_filter(step_scores, lambda score: not score between 0 and 1)) > 0;
