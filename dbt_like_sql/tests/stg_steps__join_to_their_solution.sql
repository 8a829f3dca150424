-- Fails for solutions that differ from the concatenation of their steps.
with joined as (
    select
        solution_id,
        string_agg(step_text, '' order by step_index) as joined_text
    from stg_steps
    group by solution_id
)

select
    joined.*,
    solutions.solution_text
from joined
inner join stg_solutions as solutions using (solution_id)
where joined.joined_text != solutions.solution_text;
