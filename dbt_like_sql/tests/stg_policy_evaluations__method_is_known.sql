-- Fails for training methods that policies do not have.
select *
from stg_policy_evaluations
where method not in ('base', 'SFT', 'RFT', 'ORM-PPO', 'step-PPO', 'ORM-GRPO', 'step-GRPO');
