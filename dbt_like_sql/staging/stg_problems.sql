-- Which problems are in the lake?
-- Grain: one row per problem.
select
    problem_id,
    dataset,
    shard,
    split,
    question,
    gold_solution,
    gold_answer,
    level,
    subject
from lake.problems;
