-- Fails for shares outside 0 to 1.
select *
from annotator_costs
where share_merged not between 0 and 1 or share_stopped not between 0 and 1;
