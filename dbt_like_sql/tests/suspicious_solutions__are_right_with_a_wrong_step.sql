-- Fails for listed solutions that are wrong or have no step labelled wrong.
with wrong as (
    select
        solution_id,
        annotator
    from int_labelled_steps
    where hard = 0 and solution_is_correct
)

select suspicious.*
from suspicious_solutions as suspicious
anti join wrong using (solution_id, annotator);
