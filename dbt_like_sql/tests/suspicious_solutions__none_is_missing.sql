-- Fails for unlisted right solutions with a step labelled wrong.
select distinct
    steps.solution_id,
    steps.annotator
from int_labelled_steps as steps
anti join suspicious_solutions using (solution_id, annotator)
where steps.hard = 0 and steps.solution_is_correct;
