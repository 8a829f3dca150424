-- Fails for candidates without a score, or with a score outside 0 to 1 or behind an unscored step.
select *
from stg_candidate_scores
where
    len(step_scores) = 0
    or list_min(step_scores) < 0
    or list_max(step_scores) > 1
    or list_bool_or(list_transform(step_scores, lambda score: isnan(score)))
    or list_bool_or(
        list_transform(
            list_slice(step_scores, 1, len(step_scores) - num_unscored),
            lambda score: score is null
        )
    );
