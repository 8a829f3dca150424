-- Fails for labelled solutions that are not among the solutions, in datasets that have any: where
-- labels are imported, they bring their own.
select labeled.*
from stg_labeled_solutions as labeled
semi join int_annotated_datasets using (dataset)
anti join stg_solutions using (solution_id);
