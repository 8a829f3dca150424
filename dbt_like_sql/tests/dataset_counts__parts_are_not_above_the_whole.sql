-- Fails where a part is larger than its whole.
select *
from dataset_counts
where
    num_train_problems + num_test_problems != num_problems
    or num_correct_solutions > num_solutions
    or num_solutions > num_draws
    or num_prefixes > num_steps;
