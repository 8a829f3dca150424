-- In which solutions is a later step labelled good after a step that was labelled wrong? A prefix
-- of a successful prefix can succeed too. So either the wrong step had too few rollouts, or the
-- later success was luck. The reference, where there is one, decides.
-- Grain: one row per solution and annotator.
select
    solutions.dataset,
    solutions.annotator,
    solutions.solution_id,
    solutions.problem_id,
    solutions.generator,
    solutions.num_steps,
    solutions.first_wrong_step as failed_step,
    any_value(failed.num_rollouts) as num_failed_rollouts,
    min(later.step_index) as recovered_step,
    count(*) as num_recovered_steps,
    max(later.soft) as max_later_soft,
    if(bool_or(not later.is_last), 'rollouts', 'answer') as recovered_by,
    any_value(truth.reference) as reference,
    any_value(truth.true_hard) = 0 as is_truly_wrong
from int_labelled_solutions as solutions
inner join int_labelled_steps as failed
    on
        failed.solution_id = solutions.solution_id
        and failed.annotator = solutions.annotator
        and failed.step_index = solutions.first_wrong_step
inner join int_labelled_steps as later
    on
        later.solution_id = solutions.solution_id
        and later.annotator = solutions.annotator
        and later.step_index > solutions.first_wrong_step
left join int_true_labels as truth on truth.step_id = failed.step_id
where later.hard = 1
group by
    solutions.dataset, solutions.annotator, solutions.solution_id, solutions.problem_id,
    solutions.generator, solutions.num_steps, solutions.first_wrong_step
order by solutions.dataset, solutions.annotator, solutions.solution_id;
