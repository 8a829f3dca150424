-- Fails for Monte Carlo labels whose counts fit the rollouts of no completer.
select labels.*
from stg_step_labels as labels
inner join stg_steps as steps using (step_id)
anti join int_prefix_outcomes as outcomes
    on
        outcomes.prefix_id = steps.prefix_id
        -- The pilot or another annotator may have requested more.
        and outcomes.num_rollouts >= labels.num_rollouts
        and len(list_filter(outcomes.correct_draws, lambda draw: draw < labels.num_rollouts))
        = labels.num_correct
where labels.annotator = 'monte_carlo' and not steps.is_last;
