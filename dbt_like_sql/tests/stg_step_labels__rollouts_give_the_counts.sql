-- Fails for Monte Carlo labels that the raw rollouts do not give.
with drawn as (
    select
        prefix_id,
        count(*) as num_rollouts,
        count(*) filter (where is_correct) as num_correct
    from stg_rollouts
    group by prefix_id
)

select
    labels.*,
    drawn.num_rollouts as num_drawn,
    drawn.num_correct as num_drawn_correct
from stg_step_labels as labels
inner join stg_steps as steps using (step_id)
left join drawn using (prefix_id)
where
    labels.annotator = 'monte_carlo'
    and not steps.is_last
    and (
        labels.num_rollouts is distinct from drawn.num_rollouts
        or labels.num_correct is distinct from drawn.num_correct
    );
