"""Settings of the engines that draw completions. A judge may have an engine of its own."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from shepherd.section import Section, placed


def _placed_if_marked(base: object, info: ValidationInfo) -> object:
    """Return a base as it is read: what begins with a dot is no name, but a path."""
    is_path = isinstance(base, str) and base.startswith(("./", "../"))
    return placed(base, info) if is_path else base


Checkpoint = Annotated[
    str,
    BeforeValidator(_placed_if_marked),
    Field(
        description="weights: folder of `resources/base_models`, path of a local checkpoint, or "
        "name on the Hugging Face hub; `./` and `../` start at the folder of the profile"
    ),
]
"""The type of a settings field that names a model."""


class VllmSplit(Section):
    """The GPUs that share a model, under vLLM's names."""

    tensor_parallel_size: int = Field(
        1, ge=1, description="GPUs that share the matrices of each layer"
    )
    pipeline_parallel_size: int = Field(1, ge=1, description="groups of GPUs that share the layers")

    @property
    def num_gpus(self) -> int:
        """The GPUs of a model."""
        return self.tensor_parallel_size * self.pipeline_parallel_size


class VllmPlacement(VllmSplit):
    """The GPUs on which vLLM draws with a model."""

    copies: int = Field(
        1,
        ge=1,
        description="engines side by side, each on GPUs and in a process of its own; the prompts "
        "of a question go to one of them",
    )

    @property
    def num_gpus_of_all(self) -> int:
        """The GPUs of all copies."""
        return self.copies * self.num_gpus


class VllmSettings(VllmSplit):
    """The vLLM engine's own fields, under vLLM's names."""

    gpu_memory_utilization: float = Field(
        0.9, gt=0, le=1, description="share of each GPU's memory that vLLM takes"
    )
    max_model_len: int | None = Field(
        None,
        ge=2,
        description="tokens of prompt and completion together, at most; null: the model's limit",
    )
    enforce_eager: bool = Field(
        False,
        description="run without CUDA graphs: slower, starts sooner, takes less memory",
    )


class VllmEngineSettings(VllmSettings, VllmPlacement):
    """vLLM as an engine that draws."""

    extra_arguments: dict[str, JsonValue] = Field(
        {},
        description="further arguments of vLLM's `EngineArgs` by name, such as `quantization: fp8` "
        "or `speculative_config: {...}`; completions are drawn anew if they change",
    )


class OpenAISettings(Section):
    """OpenAI-compatible servers that serve one model under one name."""

    endpoint: Literal["completions", "chat"] = Field(
        "completions",
        description="`completions` continues the text of the prompt; `chat` is for servers that "
        "take conversations alone: the prompt is the user's turn, and rollouts need a server that "
        "continues the assistant's",
    )
    base_urls: tuple[str, ...] = Field(
        min_length=1,
        description="addresses of the servers, such as `http://host:8000/v1`; without user, "
        "password, query or fragment",
    )
    api_key_variable: str = Field(
        "OPENAI_API_KEY",
        description="environment variable, in capital letters, that holds the servers' key; "
        "unset: no key",
    )
    request_timeout: float = Field(
        600.0,
        gt=0,
        description="seconds of one attempt, to the last byte; then the request is sent again",
    )
    patience: float = Field(
        300.0, ge=0, description="seconds for which all servers may fail before the run ends"
    )

    @field_validator("base_urls")
    @classmethod
    def _urls_are_plain(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for number, url in enumerate(urls):
            # A refused address may hold a secret: the message does not repeat it.
            if not _is_plain(url):
                raise ValueError(
                    f"address {number + 1} is no plain one: write each server as "
                    "http(s)://host:port/v1, without user, password, query or fragment, and name "
                    "the environment variable that holds its key in api_key_variable"
                )
        return tuple(url.rstrip("/") for url in urls)

    @field_validator("api_key_variable")
    @classmethod
    def _key_is_in_a_variable(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            raise ValueError(
                "write the name of an environment variable in capital letters, such as "
                "OPENAI_API_KEY, not the key itself"
            )
        return name


def _is_plain(url: str) -> bool:
    """Return whether an address has a scheme, a host, and no place that may hold a secret."""
    if not (url.isascii() and url.isprintable()) or set(url) & set(" ?#@\\"):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


ROUNDING_ARGUMENTS = frozenset({"quantization", "kv_cache_dtype"})
"""Arguments of vLLM that round weights, or keys and values."""


class EngineSettings(Section):
    """How completions are drawn."""

    kind: Literal["transformers", "vllm", "openai"] = Field(
        "transformers",
        description="`transformers` (in this process, CPU or one GPU), `vllm` (the GPUs of this "
        "machine) or `openai` (servers)",
    )
    batch_size: int = Field(
        512,
        ge=1,
        description="requests that run at once; with `openai`: on each server, with `vllm`: in "
        "each copy",
    )
    dtype: Literal["float32", "bfloat16", "float16", "int8"] = Field(
        "bfloat16",
        description="precision of the weights; `int8`: linear layers in 8-bit integers, for "
        "`transformers` on a CPU; servers choose their own",
    )
    device: str = Field(
        "auto",
        description="torch device of `transformers`, such as `cuda:0`; `auto`: a GPU if any",
    )
    vllm: VllmEngineSettings = Field(
        VllmEngineSettings(), description="read only if `kind` is `vllm`"
    )
    openai: OpenAISettings | None = Field(
        None, description="required if `kind` is `openai`, else not read"
    )

    def placed(self, placement: VllmPlacement | None) -> "EngineSettings":
        """Return the engine of a model that has GPUs of its own choice; None: as it is."""
        if placement is None:
            return self
        vllm = self.vllm.model_copy(update=placement.model_dump())
        return self.model_copy(update={"vllm": vllm})

    def check_draws_of_policies(self) -> None:
        """Check that PPO and GRPO can draw: as their trainer computes, with weights that change.

        Raises:
            ValueError: they cannot.
        """
        if self.kind == "openai":
            raise ValueError(
                "servers keep their weights, and those of policies change: set engine.kind to "
                "transformers or vllm"
            )
        if self.dtype == "int8":
            raise ValueError(
                "the trainer compares probabilities of draws with its own, and int8 changes them: "
                "set engine.dtype to float32"
            )
        if self.kind != "vllm":
            return
        if self.vllm.copies > 1:
            raise ValueError(
                "the GPUs of the training draw, too: set engine.vllm.copies to 1, and "
                "`vllm: {copies: ...}` of the models that draw on several"
            )
        if rounding := sorted(ROUNDING_ARGUMENTS & self.vllm.extra_arguments.keys()):
            raise ValueError(
                "the trainer compares probabilities of draws with its own: leave out "
                f"engine.vllm.extra_arguments.{rounding[0]}"
            )

    @property
    def speaks_chat(self) -> bool:
        """Whether prompts are turns of a conversation, which the servers put into a template."""
        servers = self.openai if self.kind == "openai" else None
        return servers is not None and servers.endpoint == "chat"

    @model_validator(mode="after")
    def _servers_are_named(self) -> "EngineSettings":
        if self.kind == "openai" and self.openai is None:
            raise ValueError("engine.kind openai: name the servers in engine.openai.base_urls")
        return self

    @model_validator(mode="after")
    def _int8_is_embedded(self) -> "EngineSettings":
        if self.kind == "vllm" and self.dtype == "int8":
            raise ValueError(
                "engine.dtype int8 is for engine.kind transformers: set engine.dtype to bfloat16, "
                "and engine.vllm.extra_arguments.quantization, such as fp8"
            )
        return self
