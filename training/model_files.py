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
        save_gathered(model, SavedWeights(model, weights, torch.bfloat16), out)
    tokenizer.save_pretrained(out)


def save_gathered(model: PreTrainedModel, weights: Mapping[str, torch.Tensor], out: Path) -> None:
    """Write a model with other weights than its own, such as :class:`SavedWeights`.

    The checkpoint names the precision of these weights. Transformers writes that of the model.
    """
    # One by one to the CPU: a second model may not fit on the GPU.
    model.save_pretrained(out, state_dict={name: each.cpu() for name, each in weights.items()})
    config = json.loads((out / "config.json").read_text())
    config["dtype"] = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


class SavedWeights(Mapping[str, torch.Tensor]):
    """Gathered weights as a checkpoint has them: in its precision, and tied ones once.

    Gathered shards of tied weights are tensors of their own. A weight is cast when it is read, so
    that the whole model is not in memory once more.
    """

    def __init__(
        self, model: PreTrainedModel, weights: Mapping[str, torch.Tensor], dtype: torch.dtype
    ) -> None:
        tied = model.all_tied_weights_keys
        self._weights = {name: weight for name, weight in weights.items() if name not in tied}
        self._dtype = dtype

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._weights[name].to(self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)
