-- On which steps do annotators disagree, and which of them are right? Last steps are left out.
-- Grain: one row per step that one annotator labels good and another wrong.
with disputed as (
    select
        step_id,
        any_value(dataset) as dataset,
        any_value(problem_id) as problem_id,
        any_value(solution_id) as solution_id,
        any_value(generator) as generator,
        any_value(step_index) as step_index,
        any_value(num_steps) as num_steps,
        any_value(solution_is_correct) as solution_is_correct,
        list(annotator order by annotator) filter (where hard = 1) as good_by,
        list(annotator order by annotator) filter (where hard = 0) as wrong_by
    from int_labelled_steps
    where not is_last
    group by step_id
    having min(hard) != max(hard)
)

select
    disputed.dataset,
    disputed.step_id,
    disputed.problem_id,
    disputed.solution_id,
    disputed.generator,
    disputed.step_index,
    disputed.num_steps,
    disputed.solution_is_correct,
    disputed.good_by,
    disputed.wrong_by,
    truth.reference,
    truth.true_hard,
    steps.step_text
from disputed
inner join stg_steps as steps using (step_id)
left join int_true_labels as truth on truth.step_id = disputed.step_id
order by disputed.dataset, disputed.solution_id, disputed.step_index;
