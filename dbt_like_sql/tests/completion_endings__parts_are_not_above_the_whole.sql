-- Fails where a part is larger than its whole.
select *
from completion_endings
where
    num_looping > num_truncated
    or num_truncated + num_failed > num_completions
    or num_unanswered > num_completions
    or num_repeated >= num_completions
    or num_repeated < 0;
