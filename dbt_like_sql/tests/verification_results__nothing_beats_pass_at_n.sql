-- Fails for methods that solve more problems than have a right candidate in the same groups.
select
    results.*,
    bounds.accuracy as largest_accuracy
from verification_results as results
inner join verification_results as bounds using (dataset, generator, num_candidates, num_groups)
where bounds.method = 'pass@N' and results.accuracy > bounds.accuracy + 1e-9;
