-- Fails for methods whose accuracy with one candidate is not pass@1.
select
    results.*,
    single.accuracy as single_accuracy
from verification_results as results
inner join verification_results as single using (dataset, generator, num_candidates)
where single.method = 'pass@1' and abs(results.accuracy - single.accuracy) > 1e-9;
