-- How large is a dataset, and how many solutions does the paper have for it? The paper has 170K
-- for GSM8K and 270K for MATH (arXiv 2312.08935, section 4.1). Datasets named gsm8k and math are
-- compared.
-- Grain: one row per dataset.
with problem_counts as (
    select
        dataset,
        count(*) as num_problems,
        count(*) filter (where split = 'train') as num_train_problems,
        count(*) filter (where split = 'test') as num_test_problems
    from stg_problems
    group by dataset
),

solution_counts as (
    select
        problems.dataset,
        count(*) as num_solutions,
        sum(solutions.num_samples)::bigint as num_draws,
        count(*) filter (where solutions.is_correct) as num_correct_solutions
    from stg_solutions as solutions
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset
),

step_counts as (
    select
        problems.dataset,
        count(*) as num_steps,
        count(distinct steps.prefix_id) filter (where not steps.is_last) as num_prefixes
    from stg_steps as steps
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset
),

rollout_counts as (
    select
        problems.dataset,
        count(*) as num_rollouts
    from stg_rollouts
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset
),

label_counts as (
    select
        dataset,
        count(*) as num_labels
    from int_labelled_steps
    group by dataset
    union all
    select
        dataset,
        sum(len(hard_labels))::bigint as num_labels
    from stg_labeled_solutions
    anti join int_annotated_datasets using (dataset)
    group by dataset
),

labelled_counts as (
    select
        dataset,
        count(distinct solution_id) as num_labelled_solutions
    from stg_labeled_solutions
    group by dataset
),

candidate_counts as (
    select
        problems.dataset,
        count(*) as num_candidates
    from stg_candidates
    inner join stg_problems as problems using (problem_id)
    group by problems.dataset
),

rejected_counts as (
    select
        dataset,
        count(*) as num_rejected
    from stg_rejected
    group by dataset
),

paper as (
    select
        dataset,
        case
            when lower(dataset) = 'gsm8k' then 170000
            when lower(dataset) = 'math' then 270000
        end as num_paper_solutions
    from problem_counts
)

select
    dataset,
    num_problems,
    num_train_problems,
    num_test_problems,
    coalesce(num_rejected, 0) as num_rejected,
    coalesce(num_draws, 0) as num_draws,
    coalesce(num_solutions, 0) as num_solutions,
    coalesce(num_correct_solutions, 0) as num_correct_solutions,
    num_paper_solutions,
    coalesce(num_solutions, 0) / num_paper_solutions as share_of_paper,
    coalesce(num_steps, 0) as num_steps,
    coalesce(num_prefixes, 0) as num_prefixes,
    coalesce(num_rollouts, 0) as num_rollouts,
    coalesce(num_labels, 0) as num_labels,
    coalesce(num_labelled_solutions, 0) as num_labelled_solutions,
    coalesce(num_candidates, 0) as num_candidates
from problem_counts
left join solution_counts using (dataset)
left join step_counts using (dataset)
left join rollout_counts using (dataset)
left join label_counts using (dataset)
left join labelled_counts using (dataset)
left join candidate_counts using (dataset)
left join rejected_counts using (dataset)
left join paper using (dataset)
order by dataset;
