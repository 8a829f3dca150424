"""Find the format of a reward model, and read its head."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from resources.checkpoints.tensors import read_tensors, tensor_names
from shepherd.reward_formats import FormatChoice, RewardFormat, format_by_name
from training.scoring.encoders import EXTRA_TOKEN, Labels
from training.scoring.kinds import Kind
from training.step_tags import KIND_FIELD

VALUE_HEAD = ("v_head.summary.weight", "v_head.summary.bias")
"""Tensors of Skywork-o1-Open-PRM's head. TRL's AutoModelForCausalLMWithValueHead has the same."""

TWO_LAYERS = ("score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias")
"""Tensors of Qwen2.5-Math-PRM's head: a layer, ReLU, and a layer with two outputs."""

ONE_LAYER = ("score.weight", "score.bias")
"""Tensors of a token classifier of transformers."""


@dataclass(frozen=True)
class Head:
    """Turns hidden states into rewards: the logit of a good step less that of a bad one."""

    weight: torch.Tensor
    """(hidden,)."""
    bias: torch.Tensor
    """A scalar."""
    inner: tuple[torch.Tensor, torch.Tensor] | None = None
    """Weight and bias of a layer before it, which ends in ReLU."""

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the rewards (tokens,) of hidden states (tokens, hidden), in float32."""
        hidden = hidden.float()
        if self.inner is not None:
            hidden = F.relu(F.linear(hidden, *self.inner))
        return hidden @ self.weight + self.bias

    def to(self, device: torch.device) -> "Head":
        """Return the head on a device."""
        inner = self.inner and (self.inner[0].to(device), self.inner[1].to(device))
        return Head(self.weight.to(device), self.bias.to(device), inner)


def is_token_classifier(config: PretrainedConfig) -> bool:
    """Return whether a checkpoint is one of transformers' token classifiers."""
    return any("TokenClassif" in name for name in config.architectures or ())


def format_of(
    choice: FormatChoice,
    model: Path | str,
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
) -> RewardFormat:
    """Return the format of a reward model: the chosen one, or by its head or its name.

    A language model without a name that is known has ``tags``, as those that are trained here.

    Raises:
        ValueError: the checkpoint is a classifier of an unknown kind.
    """
    published = _published_format(model, config) if choice == "auto" else choice
    if published is not None:
        return published
    if is_token_classifier(config) and config.num_labels > 1:
        if config.num_labels == 2 and EXTRA_TOKEN in tokenizer.get_vocab():
            return "extra_token"
        raise ValueError(
            f"{model}: is a classifier of {config.num_labels} labels, and its tokenizer has no "
            f"{EXTRA_TOKEN}: which token holds a step's score is not known: take a reward model "
            "of a format in docs/models.md"
        )
    return "tags"


def check_is_reward_model(model: Path | str, config: PretrainedConfig, kind: Kind) -> None:
    """Check that a checkpoint shows that it is a reward model of a kind.

    Published models do so by name or parts, those that are trained here by a field of their config
    or by their head.

    Raises:
        ValueError: it is of the other kind, or a language model: name another checkpoint, or say
            by its format that it is a reward model.
    """
    trained_as = getattr(config, KIND_FIELD, None)
    if trained_as is not None and trained_as != kind:
        raise ValueError(
            f"{model}: is a reward model of the kind {trained_as}, not {kind}: score with that "
            "kind, or with another checkpoint"
        )
    is_shown = trained_as is not None or is_token_classifier(config)
    if not is_shown and _published_format(model, config) is None:
        raise ValueError(
            f"{model}: is a language model, and nothing says that it was trained as a reward "
            "model: take a reward model, or name the format that it reads (docs/models.md)"
        )


def _published_format(model: Path | str, config: PretrainedConfig) -> RewardFormat | None:
    """Return the format of a published reward model by its parts or its name; else None."""
    architectures = config.architectures or []
    if "Qwen2ForProcessRewardModel" in architectures:
        return "extra_token"
    # A hub name is not downloaded for this: its config names the class.
    if "Qwen2ForPrmModel" in architectures or (
        Path(model).is_dir() and VALUE_HEAD[0] in tensor_names(model)
    ):
        return "value_head"
    return format_by_name(str(model))


def read_head(
    model: Path | str,
    reward_format: RewardFormat,
    labels: Labels | None,
    config: PretrainedConfig,
) -> Head:
    """Read the head of a reward model from its files.

    ``labels`` are the tokens that a language model gives as labels.

    Raises:
        ValueError: the checkpoint does not have the head of the format.
    """
    if reward_format == "value_head":
        weight, bias = _tensors(model, VALUE_HEAD, reward_format)
        return Head(weight[0], bias[0])
    if reward_format == "extra_token" and not is_token_classifier(config):
        inner, inner_bias, weight, bias = _tensors(model, TWO_LAYERS, reward_format)
        return Head(weight[1] - weight[0], bias[1] - bias[0], (inner, inner_bias))
    if is_token_classifier(config):
        weight, bias = _tensors(model, ONE_LAYER, reward_format)
        if config.num_labels == 1:
            return Head(weight[0], bias[0])
        return Head(weight[1] - weight[0], bias[1] - bias[0])
    assert labels is not None, reward_format
    name = "model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"
    [rows] = _tensors(model, (name,), reward_format)
    return Head(rows[labels.good] - rows[labels.bad], torch.zeros(()))


def _tensors(
    model: Path | str, names: tuple[str, ...], reward_format: RewardFormat
) -> list[torch.Tensor]:
    tensors = read_tensors(model, names)
    missing = [name for name in names if name not in tensors]
    if missing:
        raise ValueError(
            f"{model}: has no tensor {missing[0]}, so it is no reward model of the format "
            f"{reward_format}: correct `scoring.format`, or download the checkpoint again"
        )
    return [tensors[name].float() for name in names]
