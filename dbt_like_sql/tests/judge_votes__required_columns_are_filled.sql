-- Fails for rows with a null where there must be none.
select *
from judge_votes
where
    dataset is null
    or judge is null
    or num_votes is null
    or num_unparsable is null
    or num_unlabelled is null;
