-- Fails where the number of completions differs from the number of graded answers.
with graded as (
    select
        dataset,
        stage,
        model,
        sum(num_answers) as num_graded
    from grading_reasons
    group by dataset, stage, model
)

select *
from graded
full join completion_endings using (dataset, stage, model)
where num_graded is distinct from num_completions;
