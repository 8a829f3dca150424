-- Which first wrong step does the judge name in a solution?
-- Grain: one row per solution, judge and vote.
select
    solution_id,
    problem_id,
    judge,
    vote,
    text as critique_text,
    nullif(first_error, -1) as first_wrong_step,
    first_error is null as is_unparsable,
    finish_reason,
    num_tokens,
    seed
from lake.critiques;
