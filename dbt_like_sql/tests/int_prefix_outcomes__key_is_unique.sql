-- Fails for keys that more than one row has: one row per prefix and completer.
select
    prefix_id,
    completer,
    count(*) as num_rows
from int_prefix_outcomes
group by prefix_id, completer
having count(*) > 1;
