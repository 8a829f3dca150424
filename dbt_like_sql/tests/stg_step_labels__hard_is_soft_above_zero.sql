-- Fails for Monte Carlo labels that are not 1 exactly if a rollout is right (eq. 3).
select *
from stg_step_labels
where annotator = 'monte_carlo' and hard != (soft > 0)::integer;
