-- Fails for scores of no known candidate.
select *
from stg_candidate_scores
anti join stg_candidates using (candidate_id);
