-- Fails for rows with a null where there must be none.
select *
from solved_problems
where
    dataset is null
    or split is null
    or stage is null
    or generator is null
    or problem_id is null
    or num_draws is null
    or solved_by is null;
