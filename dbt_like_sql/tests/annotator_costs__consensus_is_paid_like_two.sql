-- Fails where a consensus costs less than each of the others, or more than all of them together.
select costs.*
from annotator_costs as costs
inner join annotator_costs as others using (dataset)
where costs.annotator = 'consensus' and others.annotator != 'consensus'
group by all
having
    costs.num_rollouts < min(others.num_rollouts)
    or costs.num_rollouts > sum(others.num_rollouts);
