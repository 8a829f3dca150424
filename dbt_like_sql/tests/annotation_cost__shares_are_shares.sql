-- Fails for shares outside 0 to 1.
select *
from annotation_cost
where share_merged not between 0 and 1 or share_spared not between 0 and 1;
