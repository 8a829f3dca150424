-- Fails for splits other than train and test.
select *
from stg_problems
where split not in ('train', 'test');
