-- Fails for values other than none, some and all.
select *
from solved_problems
where solved_by not in ('none', 'some', 'all');
