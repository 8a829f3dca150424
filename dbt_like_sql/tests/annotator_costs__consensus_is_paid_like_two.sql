-- Fails where a consensus costs fewer rollouts than any other annotator, or more than all others.
select costs.*
from annotator_costs as costs
inner join annotator_costs as others using (dataset)
where costs.annotator = 'consensus' and others.annotator != 'consensus'
group by all
having
    costs.num_rollouts < min(others.num_rollouts)
    or costs.num_rollouts > sum(others.num_rollouts);
