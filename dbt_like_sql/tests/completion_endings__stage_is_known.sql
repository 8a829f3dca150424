-- Fails for completions of a stage that does not sample.
select *
from completion_endings
where stage not in ('solutions', 'rollouts', 'candidates');
