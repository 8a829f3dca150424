-- Fails for solutions whose own labels do not make them suspicious.
select suspicious.*
from suspicious_solutions as suspicious
anti join (
    select solution_id, annotator
    from int_labelled_steps
    where hard = 0 and solution_is_correct
) as wrong using (solution_id, annotator);
