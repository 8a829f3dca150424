-- Fails for keys that more than one row has: one row per problem and state.
select
    problem_id,
    prefix_id,
    count(*) as num_rows
from stg_search_trees
group by problem_id, prefix_id
having count(*) > 1;
