-- Fails where the numbers of steps and labels differ.
select *
from stg_labeled_solutions
where len(step_texts) != len(hard_labels) or len(step_texts) != len(soft_labels);
