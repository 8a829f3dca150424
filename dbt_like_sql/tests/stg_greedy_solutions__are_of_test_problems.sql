-- Fails for greedy solutions whose problem is not in the split test.
select greedy.*
from stg_greedy_solutions as greedy
left join stg_problems as problems using (problem_id)
where problems.split is distinct from 'test';
