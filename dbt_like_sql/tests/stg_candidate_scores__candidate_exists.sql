-- Fails for scores of a candidate that does not exist.
select *
from stg_candidate_scores
anti join stg_candidates using (candidate_id);
