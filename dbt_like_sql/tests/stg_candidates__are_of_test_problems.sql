-- Fails for candidates whose problem is not in the split test.
select candidates.*
from stg_candidates as candidates
left join stg_problems as problems using (problem_id)
where problems.split is distinct from 'test';
