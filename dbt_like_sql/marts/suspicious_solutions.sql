-- Which solutions have the right answer although an annotator labels a step wrong? Either the
-- answer is right by luck, or the label is wrong. The reference, where there is one, decides.
-- Grain: one row per solution and annotator.
with truth as (
    select
        solution_id,
        min_by(annotator, annotator) as reference,
        min_by(num_wrong_steps, annotator) as true_wrong_steps
    from int_labelled_solutions
    where annotator in ('human', 'oracle')
    group by solution_id
)

select
    labelled.dataset,
    labelled.annotator,
    labelled.solution_id,
    labelled.problem_id,
    labelled.generator,
    labelled.num_steps,
    labelled.num_wrong_steps,
    labelled.first_wrong_step,
    truth.reference,
    truth.true_wrong_steps > 0 as is_truly_wrong,
    problems.question,
    solutions.solution_text
from int_labelled_solutions as labelled
inner join stg_solutions as solutions using (solution_id)
inner join stg_problems as problems on problems.problem_id = labelled.problem_id
left join truth on truth.solution_id = labelled.solution_id
where labelled.is_correct and labelled.num_wrong_steps > 0
order by labelled.dataset, labelled.annotator, labelled.solution_id;
