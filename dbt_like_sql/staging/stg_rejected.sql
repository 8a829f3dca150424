-- Which input rows were set aside, and why?
-- Grain: one row per rejected row of an input file.
select
    dataset,
    file as file_name,
    line as line_number,
    reason,
    content
from lake.rejected;
