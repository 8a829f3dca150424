-- Fails for costs of a stage that does not sample.
select *
from stg_costs
where stage not in ('solutions', 'rollouts', 'critiques', 'candidates');
