-- Fails for Monte Carlo labels whose hard label is not that some rollout was right (eq. 3).
select *
from stg_step_labels
where annotator = 'monte_carlo' and hard != (soft > 0)::integer;
