-- Fails for keys that more than one row has: one row per problem and state.
select
    problem_id,
    prefix_id,
    count(*) as num_rows
from tree_search_states
group by problem_id, prefix_id
having count(*) > 1;
