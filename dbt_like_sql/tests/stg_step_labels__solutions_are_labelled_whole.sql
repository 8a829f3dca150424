-- Fails for solutions of which an annotator labelled some steps only.
select
    solution_id,
    annotator,
    count(*) as num_labels,
    max(num_steps) as num_steps
from int_labelled_steps
group by solution_id, annotator
having count(*) != max(num_steps);
