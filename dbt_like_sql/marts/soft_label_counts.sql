-- Which soft labels do steps get? Last steps are left out.
-- Grain: one row per dataset, annotator and tenth of the soft label. A soft label of 1 is in the
-- last tenth.
select
    dataset,
    annotator,
    least(floor(soft * 10)::integer, 9) as tenth,
    count(*) as num_steps,
    count(*) filter (where hard = 1) as num_good
from int_labelled_steps
where soft is not null and not is_last and annotator not in ('human', 'oracle')
group by dataset, annotator, tenth
order by dataset, annotator, tenth;
