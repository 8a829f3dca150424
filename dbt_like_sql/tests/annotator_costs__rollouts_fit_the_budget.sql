-- Fails where rollouts drawn and saved do not add up to the full budget of all prefixes.
select *
from annotator_costs
where
    num_rollouts + num_stopped != full_budget * num_prefixes
    or num_rollouts < 1
    or num_merged < 0;
