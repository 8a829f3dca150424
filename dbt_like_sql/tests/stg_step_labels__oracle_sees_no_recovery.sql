-- Fails for steps that the oracle labels good after a step that it labels wrong.
select later.*
from int_labelled_steps as later
inner join int_labelled_solutions as solutions using (solution_id, annotator)
where
    later.annotator = 'oracle'
    and later.hard = 1
    and later.step_index > solutions.first_wrong_step;
