-- Fails for keys that more than one row has: one row per line of a file.
select
    dataset,
    file_name,
    line_number,
    count(*) as num_rows
from stg_rejected
group by dataset, file_name, line_number
having count(*) > 1;
