"""Load a model to train, on one process or several, and save the trained checkpoint."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, parse_flag_from_env
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from resources.checkpoints.loading import AutoClass, load_tokenizer, load_weights
from training.packing import PACKED


def join_processes() -> Accelerator:
    """Join the processes of ``accelerate launch``; without it the run has one process.

    Arithmetic is bfloat16 on GPUs and float32 on CPUs. Only a sharded model needs accelerate for
    that; the others have bfloat16 weights (:mod:`training.master_weights`).
    """
    on_gpu = torch.cuda.is_available()
    is_sharded = parse_flag_from_env("ACCELERATE_USE_FSDP")
    # Encoding a large set takes the main process longer than the default time-out of the others.
    timeout = InitProcessGroupKwargs(timeout=timedelta(hours=6))
    return Accelerator(
        mixed_precision="bf16" if on_gpu and is_sharded else "no",
        cpu=not on_gpu,
        kwargs_handlers=[timeout],
    )


@contextmanager
def whole_model() -> Iterator[None]:
    """Let every process read the values of a model that it loads and does not shard.

    Under FSDP transformers reads them in the main process alone.
    """
    name = "FSDP_CPU_RAM_EFFICIENT_LOADING"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def load_model(
    base: str | Path,
    auto_class: AutoClass[PreTrainedModel] = AutoModelForCausalLM,
    *,
    has_new_head: bool = False,
    **config: object,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model for training in float32 on packed batches, and its tokenizer.

    Args:
        base: checkpoint folder or hub name.
        auto_class: the Auto class of transformers that builds the model.
        has_new_head: whether a head that the checkpoint lacks starts at random.
        config: the model's config, or fields of it to override.

    Raises:
        ValueError: the checkpoint is damaged, or not what its config says.
    """
    # Before the weights: if they are sharded, not every process reads them.
    accelerator = join_processes()
    logging.disable_progress_bar()
    tokenizer = load_tokenizer(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load_weights(
        auto_class,
        base,
        has_new_head=has_new_head,
        are_values_read=accelerator.is_local_main_process,
        dtype=torch.float32,
        attn_implementation=PACKED,
        **config,
    )
    return model, tokenizer


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write an ordinary Hugging Face checkpoint in bfloat16 safetensors.

    ``weights`` are the gathered weights of a model whose own parameters are shards.
    """
    if weights is None:
        model.to(torch.bfloat16).save_pretrained(out)
    else:
        save_gathered(model, weights_to_save(model, weights, torch.bfloat16), out)
    tokenizer.save_pretrained(out)


def save_gathered(model: PreTrainedModel, weights: Mapping[str, torch.Tensor], out: Path) -> None:
    """Write a model with other weights than its own, of :func:`weights_to_save`.

    The checkpoint names the precision of these weights. Transformers writes that of the model.
    """
    model.save_pretrained(out, state_dict=dict(weights))
    config = json.loads((out / "config.json").read_text())
    config["dtype"] = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def weights_to_save(
    model: PreTrainedModel, weights: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Return gathered weights in a precision, each once.

    Gathered shards of tied weights are tensors of their own, which a checkpoint has once.
    """
    tied = model.all_tied_weights_keys
    return {name: weight.to(dtype) for name, weight in weights.items() if name not in tied}
