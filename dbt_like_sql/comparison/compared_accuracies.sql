-- How often does each method choose a right candidate, in two homes?
-- Grain: one row per dataset, generator, method and N. `a` and `b` are the attached warehouses.
select
    coalesce(one.dataset, other.dataset) as dataset,
    coalesce(one.generator, other.generator) as generator,
    coalesce(one.method, other.method) as method,
    coalesce(one.num_candidates, other.num_candidates) as num_candidates,
    one.accuracy as in_a,
    other.accuracy as in_b,
    other.accuracy - one.accuracy as difference
from a.verification_results as one
full join b.verification_results as other
    on
        other.dataset = one.dataset
        and other.generator = one.generator
        and other.method = one.method
        and other.num_candidates = one.num_candidates
order by 1, 2, 3, 4;
