-- Fails for solutions whose steps are not numbered 1 to num_steps.
select
    solution_id,
    count(*) as num_rows,
    max(num_steps) as num_steps
from stg_steps
group by solution_id
having
    min(step_index) != 1
    or max(step_index) != count(*)
    or count(distinct step_index) != count(*)
    or min(num_steps) != count(*)
    or max(num_steps) != count(*);
