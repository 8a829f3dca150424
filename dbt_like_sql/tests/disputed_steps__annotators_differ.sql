-- Fails for steps that nobody calls good, nobody wrong, or one annotator both.
select *
from disputed_steps
where len(good_by) = 0 or len(wrong_by) = 0 or list_has_any(good_by, wrong_by);
