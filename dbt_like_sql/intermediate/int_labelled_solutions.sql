-- Which step of a solution is the first that an annotator labels wrong?
-- Grain: one row per solution and annotator.
select
    solution_id,
    annotator,
    any_value(dataset) as dataset,
    any_value(problem_id) as problem_id,
    any_value(generator) as generator,
    any_value(solution_is_correct) as is_correct,
    any_value(num_steps) as num_steps,
    count(*) filter (where hard = 0) as num_wrong_steps,
    min(step_index) filter (where hard = 0) as first_wrong_step
from int_labelled_steps
group by solution_id, annotator;
