-- Fails where a part is larger than its whole.
select *
from judge_votes
where
    num_unparsable + num_no_error > num_votes
    or num_truncated + num_failed > num_unparsable
    or num_unlabelled + num_divided > num_solutions;
