"""Load the parts of a checkpoint, from safetensors only and without running any code of it."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar

from resources.checkpoints.open_prompts import leave_prompts_open
from resources.engines.kept import close_kept_engine
from resources.storage.model_store import HUB_NAME, check_hub
from resources.storage.model_versions import check_unchanged

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

NEW_BIASES = {"score.bias"}
"""Tensors that start at zero where a checkpoint lacks them: a sequence classifier has no bias."""

CACHE_SCALES = ("k_scale", "v_scale", "q_scale", "kv_scale", "prob_scale", "prob_output_scale")
"""Tensors beside unquantized weights that only a quantized cache of keys and values needs."""

PICKLES = ("*.bin", "*.pt", "*.pth")
"""Weights that could run code as they are read."""

BUILD_ERRORS = (RuntimeError, AssertionError, MemoryError)
"""What torch raises for a model with sizes that no model has, or for which memory is missing."""

Part_co = TypeVar("Part_co", covariant=True)


class LoadingReport(TypedDict):
    """How transformers says that the tensors of a checkpoint differ from those of its config."""

    missing_keys: set[str]
    unexpected_keys: set[str]
    mismatched_keys: set[tuple[str, list[int], list[int]]]
    """Name, shape in the checkpoint, and shape in the model."""


class AutoClass(Protocol[Part_co]):
    """One of transformers' Auto classes: it loads a part of a checkpoint."""

    def from_pretrained(self, checkpoint: Path | str, **options: object) -> Part_co:
        """Load the part from a checkpoint folder or a hub name."""


def load(part: AutoClass[Part_co], model: Path | str, **options: object) -> Part_co:
    """Load a part of a checkpoint: its config, tokenizer or weights.

    Code of the checkpoint (``auto_map``) is never run and nobody is asked: transformers' own code
    of the architecture is taken.

    Raises:
        ValueError: ``model`` is no checkpoint folder or hub name, lacks that part, is damaged,
            has an architecture that only its own code knows, or is a hub name and the hub does
            not give it.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    if HUB_NAME.fullmatch(str(model)):
        check_hub(model)
    known = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
    try:
        return part.from_pretrained(model, trust_remote_code=False, **options)
    except (*known, SafetensorError, StrictDataclassError) as error:
        raise ValueError(refusal(model, error)) from error
    except Exception as error:
        # tokenizers raises bare Exceptions for a broken tokenizer.json.
        if type(error) is Exception:
            raise ValueError(refusal(model, error)) from error
        raise


def load_tokenizer(model: Path | str, **options: object) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of a checkpoint; it puts no token behind a prompt.

    Raises:
        ValueError: it cannot be loaded (:func:`load`), or puts a token behind each text and this
            cannot be changed.
    """
    from transformers import AutoTokenizer

    tokenizer = load(AutoTokenizer, model, **options)
    leave_prompts_open(tokenizer, model)
    return tokenizer


def load_weights(
    part: "AutoClass[PreTrainedModel]",
    model: Path | str,
    *,
    has_new_head: bool = False,
    are_values_read: bool = True,
    **options: object,
) -> "PreTrainedModel":
    """Load the weights of a checkpoint from safetensors: all that its config asks for.

    An engine that is kept open for a later stage is closed first, for its memory.

    Args:
        part: transformers' Auto class of the model.
        model: checkpoint folder or hub name.
        has_new_head: whether what the checkpoint lacks outside its trunk starts at random.
        are_values_read: False in processes that receive the values later, as under FSDP.
        options: options of ``from_pretrained``.

    Raises:
        ValueError: it cannot be loaded (:func:`load`), lacks tensors, has tensors of other
            shapes or more layers than its config names, or values that are not finite; or its
            config asks for sizes that no model has; or it was trained here and its files have
            changed.
    """
    close_kept_engine()
    check_unchanged(model)
    try:
        weights, report = _load_with_report(part, model, options)
    except BUILD_ERRORS as error:
        # Without memory the same fails only if config.json is to blame, not the device.
        _load_without_values(part, model, options, error)
        raise
    refuse_empty(weights.config, model)
    absent = [*set(report["missing_keys"]) - NEW_BIASES]
    absent += [name for name, *_ in report["mismatched_keys"]]
    trunk = f"{weights.base_model_prefix}."
    if has_new_head:
        absent = [name for name in absent if name.startswith(trunk)]
    refuse_absent(absent, model)
    modules = {_module(name, trunk) for name in weights.state_dict()}
    surplus = [
        name
        for name in report["unexpected_keys"]
        if _module(name, trunk) in modules and name.rpartition(".")[2] not in CACHE_SCALES
    ]
    refuse_surplus(surplus, model)
    if are_values_read:
        check_finite(weights.named_parameters(), model)
    return weights


def _load_with_report(
    part: "AutoClass[PreTrainedModel]", model: Path | str, options: Mapping[str, object]
) -> "tuple[PreTrainedModel, LoadingReport]":
    """Return the weights of a checkpoint, and how their names and shapes differ from its config."""
    with _without_print():
        loaded = load(
            part,
            model,
            use_safetensors=True,
            # Otherwise transformers raises a RuntimeError; the caller checks the shapes.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    assert isinstance(loaded, tuple)
    return loaded


@contextmanager
def _without_print() -> Iterator[None]:
    """Keep transformers from printing its report: what matters of it becomes an error here."""
    logger = logging.getLogger("transformers.modeling_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _load_without_values(
    part: "AutoClass[PreTrainedModel]",
    model: Path | str,
    options: Mapping[str, object],
    error: Exception,
) -> None:
    """Refuse a config that asks for a model that cannot be built, or that is not in the files.

    Raises:
        ValueError: it does; ``error`` is what happened when the model was loaded.
    """
    way_out = "correct its config.json, or download the checkpoint again"
    try:
        _, report = _load_with_report(part, model, {**options, "device_map": "meta"})
    except BUILD_ERRORS:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{model}: its config.json describes no model that can be built ({reason}): {way_out}"
        ) from error
    refuse_absent([name for name, *_ in report["mismatched_keys"]], model)


def refuse_empty(config: "PretrainedConfig", model: Path | str) -> None:
    """Refuse a config without layers or positions: such a model is built, and computes nothing.

    Raises:
        ValueError: it has none; the message names the field.
    """
    text = config.get_text_config()
    for name in ("num_hidden_layers", "max_position_embeddings"):
        value = getattr(text, name, None)
        if isinstance(value, int) and value < 1:
            raise ValueError(
                f"{model}: {name} of its config.json is {value}: correct it, or download the "
                "checkpoint again"
            )


def refuse_absent(names: Sequence[str], model: Path | str) -> None:
    """Refuse a checkpoint that lacks tensors of its config, or has them in other shapes.

    Raises:
        ValueError: there is one. The message names the first.
    """
    if names:
        raise ValueError(
            f"{model}: {len(names)} tensors that its config.json asks for are missing or have "
            f"another shape, first {min(names)}: download the checkpoint again, or correct its "
            "config.json"
        )


def refuse_surplus(names: Sequence[str], model: Path | str) -> None:
    """Refuse a checkpoint with tensors of modules that its config has, such as a layer too many.

    Tensors of modules that the model does not have, such as another head, do not matter.

    Raises:
        ValueError: there is one. The message names the first.
    """
    if names:
        raise ValueError(
            f"{model}: {len(names)} tensors have no place in the model of its config.json, first "
            f"{min(names)}: correct its config.json, or download the checkpoint again"
        )


def check_finite(tensors: "Iterable[tuple[str, torch.Tensor]]", model: Path | str) -> None:
    """Check that no value of a checkpoint is infinite or NaN.

    Raises:
        ValueError: one is. The message names the tensor.
    """
    for name, tensor in tensors:
        if not tensor.numel() or not tensor.is_floating_point() or tensor.is_meta:
            continue
        if "float4" in str(tensor.dtype):
            # All its values are finite.
            continue
        # torch does not compare float8; bfloat16 has all its values, infinity and NaN.
        values = tensor.bfloat16() if tensor.itemsize == 1 else tensor
        # One pass over the values; NaN passes on to both results.
        bounds = [float(bound) for bound in values.detach().aminmax()]
        if not all(-float("inf") < bound < float("inf") for bound in bounds):
            raise ValueError(
                f"{model}: {name} holds values that are not finite: train or download the "
                "checkpoint again"
            )


def _module(tensor: str, trunk: str) -> str:
    """Return the module of a tensor, with one name for the modules of all layers."""
    module = tensor.removeprefix(trunk).rpartition(".")[0]
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1#", module)


def refusal(model: Path | str, error: Exception) -> str:
    """Return one line for what transformers, safetensors or tokenizers raised."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if "trust_remote_code" in reason:
        return (
            f"{model}: only code of the checkpoint itself knows its architecture (auto_map), and "
            "no such code is run: take a checkpoint of an architecture that transformers has, or "
            "serve it and set engine.kind to openai"
        )
    folder = Path(model)
    pickles = sorted({path.name for pattern in PICKLES for path in folder.glob(pattern)})
    if pickles and not any(folder.glob("*.safetensors")):
        return (
            f"{model}: its weights are pickled ({pickles[0]}), which could run code and are not "
            "read: write them as safetensors, with save_pretrained of a model that you trust"
        )
    return (
        f"{model}: no checkpoint that can be read: correct `base` in the profile, or download it "
        f"again ({reason})"
    )
