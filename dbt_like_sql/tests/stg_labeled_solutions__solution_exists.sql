-- Fails for labelled solutions that are not in stg_solutions. Datasets with published labels only
-- are left out, because their solutions come with the labels.
select labeled.*
from stg_labeled_solutions as labeled
semi join int_annotated_datasets using (dataset)
anti join stg_solutions using (solution_id);
