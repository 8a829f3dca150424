"""Settings of training runs, and of the set of labelled solutions that they read."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shepherd.section import Section

TOKENS_PER_PASS = {"cpu": 1024, "cuda": 16_384}
"""Tokens of a forward pass where the profile names none, by kind of device. A CPU's caches hold
1,024."""

GradientCheckpointing = Annotated[
    bool,
    Field(
        description="compute activations twice instead of storing them: slower, less memory",
    ),
]
"""The type of the field of that name, of all trainers."""


def check_sharded(sharded: bool, num_processes: int) -> None:
    """Check that a model that is split has processes to hold its parts.

    Raises:
        ValueError: it has one.
    """
    if sharded and num_processes == 1:
        raise ValueError("sharded: there is one process to hold the model: raise num_processes")


class TrainingSettings(Section):
    """One training run. The rate rises linearly, then falls along a cosine."""

    INCIDENTAL = frozenset(
        {"tokens_per_pass", "gradient_checkpointing", "checkpoint_steps", "evaluation_steps"}
    )

    epochs: float = Field(1.0, gt=0, description="passes over the examples")
    learning_rate: float = Field(1e-6, gt=0, description="highest learning rate of the run")
    batch_size: int = Field(
        32, ge=1, description="sequences of an optimizer step, over all processes together"
    )
    max_length: int = Field(
        512,
        ge=8,
        description="tokens of a sequence at most; fine-tuning and outcome reward models leave "
        "longer ones out, process reward models drop the steps beyond",
    )
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="share of the optimizer steps in which the rate rises"
    )
    floor_share: float = Field(
        0.1, ge=0, le=1, description="last learning rate as a share of `learning_rate`"
    )
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    lm_weight: float = Field(
        0.0, ge=0, description="weight of the language-model loss that is added to a reward model's"
    )
    head: Literal["tokens", "scalar"] = Field(
        "tokens",
        description="output of a reward model: the two label tokens of a language model (as "
        "published), or one scalar",
    )
    loss: Literal["bce", "mse"] = Field(
        "bce",
        description="loss of a reward model: binary cross entropy, or the squared error of the "
        "probability",
    )
    tokens_per_pass: int | None = Field(
        None,
        ge=1,
        description="tokens of one forward pass on each process; gradients of the passes of a step "
        "add up, so results change by rounding only; null: 1,024 on a CPU, 16,384 on a GPU",
    )
    gradient_checkpointing: GradientCheckpointing = False
    num_processes: int = Field(
        1,
        ge=1,
        description="GPUs to train on; above 1, `accelerate launch` starts a process for each",
    )
    sharded: bool = Field(
        False, description="split the model over the processes (FSDP); false: each holds all of it"
    )
    evaluation_steps: int = Field(
        100, ge=1, description="optimizer steps from one evaluation to the next"
    )
    checkpoint_steps: int = Field(
        100, ge=1, description="optimizer steps from one checkpoint to the next"
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> "TrainingSettings":
        if self.head == "scalar" and self.lm_weight > 0:
            raise ValueError("lm_weight: a scalar head predicts no text: set it to 0")
        if self.batch_size < self.num_processes:
            raise ValueError("batch_size: each of num_processes needs a sequence a step: raise it")
        check_sharded(self.sharded, self.num_processes)
        return self


class TrainingSet(Section):
    """Which labelled solutions reward models learn from, of those of `annotation.train_on`."""

    labels: Literal["hard", "soft"] = Field(
        "hard",
        description="labels of process reward models; with `soft`, solutions without soft labels "
        "are left out",
    )
    after_first_negative: Literal["keep", "drop"] = Field(
        "keep",
        description="steps after the first one labelled wrong (arXiv 2501.07301); with `drop` that "
        "step is the last",
    )
    keep_unanimous: bool = Field(
        True, description="keep problems whose solutions are all right or all wrong"
    )
    per_problem: int | None = Field(
        None,
        ge=1,
        description="solutions of each problem at most, right and wrong ones in turn; null: all",
    )
    validation_share: float = Field(
        0.0, ge=0, lt=1, description="share of the problems held out from training, for evaluation"
    )
