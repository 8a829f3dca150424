-- Fails for stages that draw no completions.
select *
from completion_endings
where stage not in ('solutions', 'rollouts', 'candidates');
