-- Which labelled solutions train the reward models?
-- Grain: one row per solution and annotator.
select
    solution_id,
    problem_id,
    dataset,
    annotator,
    question,
    steps as step_texts,
    hard as hard_labels,
    soft as soft_labels,
    is_correct
from lake.labeled_solutions;
