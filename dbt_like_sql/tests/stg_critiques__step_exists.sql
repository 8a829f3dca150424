-- Fails for votes on a step that the solution does not have.
select critiques.*
from stg_critiques as critiques
anti join stg_steps as steps
    on
        critiques.solution_id = steps.solution_id
        and critiques.first_wrong_step = steps.step_index
where critiques.first_wrong_step is not null;
