-- Fails for models whose shares do not add up to 1.
select
    dataset,
    stage,
    model,
    sum(share) as sum_of_shares
from grading_reasons
group by dataset, stage, model
having abs(sum(share) - 1) > 1e-9;
