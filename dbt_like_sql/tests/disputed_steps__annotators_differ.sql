-- Fails for steps that no annotator labels good, none labels wrong, or one labels both.
select *
from disputed_steps
where len(good_by) = 0 or len(wrong_by) = 0 or list_has_any(good_by, wrong_by);
