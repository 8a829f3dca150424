-- Fails for candidates without a score, with a score outside 0 to 1, or with a score behind an
-- unscored step: a model reads from the front.
select *
from stg_candidate_scores
where
    len(step_scores) = 0
    or list_min(step_scores) < 0
    or list_max(step_scores) > 1
    or list_bool_or(
        list_transform(
            step_scores, lambda score, place:
                isnan(score) or (score is null) != (place > len(step_scores) - num_unscored)
        )
    );
