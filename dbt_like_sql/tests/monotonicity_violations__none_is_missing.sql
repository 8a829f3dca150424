-- Fails for unlisted solutions with a good step directly after a wrong one.
with pairs as (
    select
        solution_id,
        annotator,
        hard,
        lag(hard) over (partition by solution_id, annotator order by step_index) as hard_before
    from int_labelled_steps
)

select distinct
    pairs.solution_id,
    pairs.annotator
from pairs
anti join monotonicity_violations using (solution_id, annotator)
where pairs.hard = 1 and pairs.hard_before = 0;
