-- Fails for Monte Carlo labels that are not the share of right rollouts (eq. 4).
select *
from stg_step_labels
where
    annotator = 'monte_carlo'
    and num_rollouts > 0
    and abs(soft - num_correct / num_rollouts) > 1e-9;
