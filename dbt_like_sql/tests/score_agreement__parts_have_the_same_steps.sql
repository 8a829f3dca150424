-- Fails where the positions and the lengths of the steps do not sum up to the same steps.
select
    dataset,
    reward_model,
    annotator
from score_agreement
group by dataset, reward_model, annotator
having
    sum(num_steps) filter (where part = 'position')
    != sum(num_steps) filter (where part = 'length');
