-- Which steps have another hard label in home B than in home A? First those of which B is wrong by
-- the truth, then those without truth, and the largest changes of the soft label first.
-- Grain: one row per step and annotator. `a` and `b` are the attached warehouses.
select
    other.dataset,
    other.annotator,
    problems.question,
    other.solution_id,
    other.step_index,
    other.step_text,
    one.hard as hard_in_a,
    other.hard as hard_in_b,
    truth.true_hard,
    one.soft as soft_in_a,
    other.soft as soft_in_b
from a.int_labelled_steps as one
inner join b.int_labelled_steps as other
    on other.step_id = one.step_id and other.annotator = one.annotator
inner join b.stg_problems as problems on problems.problem_id = other.problem_id
left join b.int_true_labels as truth on truth.step_id = other.step_id
where one.hard != other.hard
order by
    coalesce(other.hard = truth.true_hard, false)::integer asc,
    (truth.true_hard is null)::integer asc,
    abs(one.soft - other.soft) desc,
    other.step_id asc,
    other.annotator asc
limit 200;
