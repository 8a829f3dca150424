-- How often do two annotators agree on a step, and on the first wrong step of a solution? Steps
-- that both labelled are compared; last steps are left out.
-- Grain: one row per dataset and pair of annotators, in alphabetical order.
with pairs as (
    select
        one.dataset,
        one.annotator,
        other.annotator as other_annotator,
        count(*) as num_steps,
        count(*) filter (where one.hard = 1 and other.hard = 1) as num_both_good,
        count(*) filter (where one.hard = 0 and other.hard = 0) as num_both_wrong,
        count(*) filter (where one.hard = 1 and other.hard = 0) as num_only_first_good,
        count(*) filter (where one.hard = 0 and other.hard = 1) as num_only_second_good
    from int_labelled_steps as one
    inner join int_labelled_steps as other
        on other.step_id = one.step_id and other.annotator > one.annotator
    where not one.is_last
    group by one.dataset, one.annotator, other.annotator
),

first_errors as (
    select
        one.dataset,
        one.annotator,
        other.annotator as other_annotator,
        count(*) as num_solutions,
        count(*) filter (where one.first_wrong_step is not distinct from other.first_wrong_step)
            as num_same_first_error
    from int_labelled_solutions as one
    inner join int_labelled_solutions as other
        on other.solution_id = one.solution_id and other.annotator > one.annotator
    group by one.dataset, one.annotator, other.annotator
),

shares as (
    select
        *,
        (num_both_good + num_both_wrong) / num_steps as agreement,
        (num_both_good + num_only_first_good) / num_steps as share_first_good,
        (num_both_good + num_only_second_good) / num_steps as share_second_good,
        share_first_good * share_second_good
        + (1 - share_first_good) * (1 - share_second_good) as agreement_by_chance
    from pairs
)

select
    dataset,
    annotator,
    other_annotator,
    num_steps,
    num_both_good,
    num_both_wrong,
    num_only_first_good,
    num_only_second_good,
    agreement,
    (agreement - agreement_by_chance) / nullif(1 - agreement_by_chance, 0) as cohen_kappa,
    num_solutions,
    num_same_first_error,
    num_same_first_error / num_solutions as first_error_agreement
from shares
inner join first_errors using (dataset, annotator, other_annotator)
order by dataset, annotator, other_annotator;
