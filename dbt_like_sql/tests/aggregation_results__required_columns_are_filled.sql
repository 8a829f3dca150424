-- Fails for rows with a null where there must be none.
select *
from aggregation_results
where
    dataset is null
    or generator is null
    or aggregation is null
    or accuracy is null;
