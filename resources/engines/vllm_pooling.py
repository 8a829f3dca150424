"""Compute hidden states at given tokens with vLLM's pooling, in this process.

Each worker of vLLM imports this module, because it holds the worker's extension: so all processes
know the architectures that are registered here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from vllm import ModelRegistry, PoolingParams
from vllm.config import PoolerConfig
from vllm.inputs import TokensPrompt

from resources.checkpoints.weight_files import check_weight_files
from resources.engines.vllm_engine import end_vllm, open_vllm
from shepherd.settings import VllmSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig


TRUNKS = {"llama": "LlamaTrunk", "mistral": "MistralTrunk", "qwen2": "Qwen2Trunk"}
"""The class in :mod:`resources.engines.vllm_trunks` for each ``model_type``."""

# By name: importing the classes here could start CUDA before vLLM forks.
for _name in TRUNKS.values():
    ModelRegistry.register_model(f"{_name}ForCausalLM", f"resources.engines.vllm_trunks:{_name}")


class WorkerExtension:
    """Extends vLLM's worker by nothing: to find it, each worker imports this module."""


def check_architecture(model: Path | str, config: "PretrainedConfig") -> None:
    """Check that a model has a trunk here.

    Raises:
        ValueError: it has none.
    """
    if config.model_type not in TRUNKS:
        raise ValueError(
            f"{model}: scoring through vLLM knows {', '.join(TRUNKS)}, not {config.model_type}: "
            "set scoring.engine to transformers"
        )


class VllmPooler:
    """Computes the last hidden states of a model without its head.

    Args:
        model: checkpoint folder or hub name.
        config: its config.
        settings: GPUs and memory of vLLM.
        max_length: most tokens of a sequence.
        dtype: precision of the weights, by vLLM's name.

    Raises:
        ValueError: the checkpoint is damaged, its architecture has no trunk here, or vLLM cannot
            run it with these settings.
    """

    def __init__(
        self,
        model: Path | str,
        config: "PretrainedConfig",
        settings: VllmSettings,
        *,
        max_length: int,
        dtype: str,
    ) -> None:
        check_architecture(model, config)
        check_weight_files(model, config, has_head=False)
        arguments = {
            "model": str(model),
            "dtype": dtype,
            "runner": "pooling",
            "convert": "embed",
            "hf_overrides": {"architectures": [f"{TRUNKS[config.model_type]}ForCausalLM"]},
            "pooler_config": PoolerConfig(tok_pooling_type="STEP"),
            "worker_extension_cls": f"{WorkerExtension.__module__}.{WorkerExtension.__name__}",
            "disable_log_stats": True,
            **settings.model_dump(),
            "max_model_len": max_length,
        }
        self._engine = open_vllm(arguments, "scoring.vllm")

    def hidden_states(
        self, sequences: Sequence[Sequence[int]], places: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the hidden states of each sequence by its index, as they are finished.

        Args:
            sequences: token ids.
            places: for each sequence the indices of the tokens whose states are wanted.

        Yields:
            Index of a sequence, and (places, hidden).
        """
        rows: dict[str, list[int]] = {}
        for index, (ids, at) in enumerate(zip(sequences, places, strict=True)):
            tokens = {ids[place] for place in at}
            # vLLM returns the states of one kind of token only: fewer than those of all.
            tag = tokens.pop() if len(tokens) == 1 else None
            returned = [place for place, token in enumerate(ids) if tag in (None, token)]
            row_of = {place: row for row, place in enumerate(returned)}
            rows[str(index)] = [row_of[place] for place in at]
            self._engine.add_request(
                str(index),
                TokensPrompt(prompt_token_ids=list(ids)),
                PoolingParams(task="token_embed", use_activation=False, step_tag_id=tag),
            )
        while rows:
            for output in self._engine.step():
                if output.finished:
                    yield int(output.request_id), output.outputs.data[rows.pop(output.request_id)]

    def close(self) -> None:
        """End the engine."""
        end_vllm(self._engine)
        del self._engine
