"""Settings of scoring: how a reward model reads solutions, and on what."""

from typing import Literal

from pydantic import Field

from shepherd.engine_settings import VllmSettings
from shepherd.reward_formats import FormatChoice
from shepherd.section import Section


class ScoringSettings(Section):
    """How a reward model scores; not read of other models."""

    INCIDENTAL = frozenset({"engine", "num_copies", "vllm"})

    format: FormatChoice = Field(
        "auto",
        description="what the model reads: `tags` (as trained here), or the format of a published "
        "model; `auto`: by the name and the parts of the checkpoint",
    )
    max_length: int | None = Field(
        None,
        ge=8,
        description="tokens of a sequence at most, later steps are unscored; null: "
        "`training.max_length`, or the model's window if it is not trained here",
    )
    engine: Literal["transformers", "vllm"] = Field(
        "transformers",
        description="`transformers` reads each common prefix once; `vllm` (pooling) splits models "
        "that do not fit one GPU",
    )
    num_copies: int = Field(
        1, ge=1, description="copies of the model under `transformers`, each on a GPU of its own"
    )
    vllm: VllmSettings = Field(
        VllmSettings(),
        description="read only if `engine` is `vllm`; `max_length` stands for `max_model_len`",
    )
