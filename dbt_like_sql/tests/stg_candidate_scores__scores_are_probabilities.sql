-- Fails for candidates without a score, or with a score outside 0 to 1.
select *
from stg_candidate_scores
where
    len(step_scores) = 0
    or list_min(step_scores) < 0
    or list_max(step_scores) > 1
    or list_bool_or(list_transform(step_scores, lambda score: score is null or isnan(score)));
