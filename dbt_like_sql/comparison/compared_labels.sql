-- How many labels of two homes differ, and which home is right where the truth is known?
-- Grain: one row per dataset and annotator. `a` and `b` are the attached warehouses.
select
    coalesce(one.dataset, other.dataset) as dataset,
    coalesce(one.annotator, other.annotator) as annotator,
    count(*) filter (where one.step_id is not null and other.step_id is not null) as in_both,
    count(*) filter (where other.step_id is null) as only_in_a,
    count(*) filter (where one.step_id is null) as only_in_b,
    count(*) filter (where one.hard != other.hard) as changed,
    count(*) filter (where one.hard != other.hard and other.hard = truth.true_hard) as b_is_right,
    count(*) filter (where one.hard != other.hard and one.hard = truth.true_hard) as a_is_right,
    avg(abs(one.soft - other.soft)) as mean_soft_change
from a.int_labelled_steps as one
full join b.int_labelled_steps as other
    on other.step_id = one.step_id and other.annotator = one.annotator
left join b.int_true_labels as truth on truth.step_id = other.step_id
group by 1, 2
order by 1, 2;
