-- Fails for counts that the paper does not report.
select *
from dataset_counts
where num_paper_solutions not in (170000, 270000) or share_of_paper < 0;
