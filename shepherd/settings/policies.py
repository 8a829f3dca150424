"""Settings of policies: generators that learn from their own solutions."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shepherd.section import Section
from shepherd.settings.training import GradientCheckpointing, TrainingSettings, check_sharded

StepReward = Literal["score", "mean", "difference", "min"]
"""How scores of steps become rewards of steps (training/advantages.py)."""

START = "generator whose weights the policy starts from"
CANDIDATES = "also draw candidates of test problems, so that reward models choose among them"


class RftSettings(Section):
    """Rejection-sampling fine-tuning (arXiv 2308.01825): a generator learns its right solutions."""

    INCIDENTAL = frozenset({"candidates"})

    kind: Literal["rft"] = Field(description="the method")
    start: str = Field(description=START)
    samples_per_problem: int = Field(
        8, ge=1, description="solutions drawn of each train problem; the paper draws 8"
    )
    temperature: float = Field(0.7, ge=0, description="temperature of these draws; 0: greedy")
    training: TrainingSettings = Field(TrainingSettings(), description="fine-tuning")
    candidates: bool = Field(False, description=CANDIDATES)

    @property
    def method(self) -> str:
        """The paper's name of the method."""
        return "RFT"


class ReinforcementSettings(Section):
    """What PPO and GRPO share: both draw responses, score them and learn from the scores.

    An outcome reward model rewards the end of a response, a process reward model the end of each
    step.
    """

    INCIDENTAL = frozenset(
        {"candidates", "batch_tokens", "gradient_checkpointing", "num_processes", "sharded"}
    )

    kind: Literal["ppo", "grpo"] = Field(description="the method")
    start: str = Field(description=START)
    reward_model: Literal["outcome_reward_model", "process_reward_model"] = Field(
        description="reward model of the profile that scores responses"
    )
    step_reward: StepReward = Field(
        "difference",
        description="reward of a step from the scores of the steps: the `score` itself (the "
        "paper's), `mean`, `difference` to the score before, or `min`; docs/policies.md",
    )
    iterations: int = Field(100, ge=1, description="rounds of drawing and learning")
    problems_per_iteration: int = Field(64, ge=1, description="problems of an iteration")
    samples_per_problem: int = Field(
        4, ge=1, description="responses drawn of each problem of an iteration"
    )
    temperature: float = Field(1.0, gt=0, description="temperature of the responses")
    epochs: int = Field(1, ge=1, description="passes over the responses of an iteration")
    batch_size: int = Field(64, ge=1, description="responses of an optimizer step")
    batch_tokens: int = Field(
        16_384,
        ge=1,
        description="padded tokens in memory of each process at a time; results change by rounding "
        "only",
    )
    gradient_checkpointing: GradientCheckpointing = False
    num_processes: int = Field(
        1,
        ge=1,
        description="GPUs to draw and train on; above 1, `accelerate launch` starts a process for "
        "each; results change by rounding only",
    )
    sharded: bool = Field(
        False,
        description="split policy, value network and reference over the processes (FSDP); false: "
        "each holds all of them",
    )
    learning_rate: float = Field(1e-7, gt=0, description="highest learning rate of the policy")
    min_learning_rate: float = Field(1e-8, ge=0, description="learning rate of the last iteration")
    kl_coefficient: float = Field(
        0.04, ge=0, description="penalty of a token, times its log ratio to the start"
    )
    clip_range: float = Field(0.2, gt=0, description="clip range of the probability ratio")
    num_validation: int = Field(
        50,
        ge=1,
        description="train problems that are held out; their greedy accuracy is measured in each "
        "iteration",
    )
    candidates: bool = Field(False, description=CANDIDATES)

    @model_validator(mode="after")
    def _fields_agree(self) -> "ReinforcementSettings":
        check_sharded(self.sharded, self.num_processes)
        return self

    @property
    def method(self) -> str:
        """The name of the method: the paper's for PPO."""
        rewarded = "ORM" if self.reward_model == "outcome_reward_model" else "step"
        return f"{rewarded}-{self.kind.upper()}"


class PpoSettings(ReinforcementSettings):
    """PPO of a generator against a reward model of the profile.

    The KL coefficient and the learning rates are the paper's for 7B models; what the paper does not
    report is the field's usual value. The networks stay on the GPU while the engine draws: with
    vLLM, lower `engine.vllm.gpu_memory_utilization` to the memory that they leave free.
    """

    kind: Literal["ppo"] = Field(description="the method")
    value_learning_rate: float = Field(
        1e-6, gt=0, description="highest learning rate of the value network"
    )
    warmup_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the iterations in which only the value network learns",
    )
    discount: float = Field(1.0, gt=0, le=1, description="discount of the next token's return")
    gae_decay: float = Field(0.95, ge=0, le=1, description="decay (lambda) of GAE")


class GrpoSettings(ReinforcementSettings):
    """GRPO of a generator against a reward model of the profile: PPO without a value network.

    The responses of one question are a group, and rewards count relative to their group (arXiv
    2402.03300). The KL coefficient 0.04 is that paper's, too. With vLLM, lower
    `engine.vllm.gpu_memory_utilization` as for PPO.
    """

    kind: Literal["grpo"] = Field(description="the method")
    step_reward: StepReward = Field(
        "score",
        description="reward of a step before it is compared with its group: the `score` itself "
        "(as published), `mean`, `difference` to the score before, or `min`; docs/policies.md",
    )
    samples_per_problem: int = Field(
        8, ge=2, description="responses drawn of each problem of an iteration: a group"
    )
    kl_coefficient: float = Field(
        0.04, ge=0, description="weight in the loss of the KL divergence from the start"
    )


PolicySettings = Annotated[RftSettings | PpoSettings | GrpoSettings, Field(discriminator="kind")]
