-- Fails for rows with a null where there must be none.
select *
from completion_endings
where
    dataset is null
    or stage is null
    or model is null
    or num_completions is null
    or num_truncated is null
    or num_repeated is null;
