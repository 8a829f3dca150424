-- Fails for rows with a null where there must be none.
select *
from verification_results
where
    dataset is null
    or generator is null
    or method is null
    or num_candidates is null
    or accuracy is null;
