-- Fails for stages that do not sample.
select *
from stg_costs
where stage not in ('solutions', 'rollouts', 'critiques', 'nli_labels', 'candidates');
