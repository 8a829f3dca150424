-- Which states does the search tree of a problem have, and from which state was each reached?
-- Grain: one row per problem and state.
select
    problem_id,
    prefix_id,
    parent_id,
    discovery,
    prefix as prefix_text,
    num_rollouts,
    num_correct,
    visits as num_visits
from lake.search_trees;
