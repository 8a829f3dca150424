-- Which input rows were rejected, and why?
-- Grain: one row per rejected row of an input file.
with all_rejected as (
    from lake.rejected_problems
    union all by name
    from lake.rejected_solutions
    union all by name
    from lake.rejected_labels
)

select
    dataset,
    file as file_name,
    line as line_number,
    reason,
    content
from all_rejected;
