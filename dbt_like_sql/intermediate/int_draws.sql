-- Which solutions and candidates were drawn for a problem?
-- Grain: one row per distinct solution, or per candidate.
select
    'solutions' as stage,
    problem_id,
    generator,
    answer,
    is_correct,
    grade_reason,
    finish_reason,
    num_samples
from stg_solutions
union all
select
    'candidates' as stage,
    problem_id,
    generator,
    answer,
    is_correct,
    grade_reason,
    finish_reason,
    1 as num_samples
from stg_candidates;
