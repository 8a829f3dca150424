"""Compute scores through vLLM: it pools hidden states at the places of scores.

vLLM splits models that do not fit one GPU. It does not share common prefixes here: its pooling of
tokens passes over the cache of prefixes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import PretrainedConfig

from resources.engines import require_vllm
from shepherd.reward_formats import RewardFormat
from shepherd.settings import VllmSettings
from training.scoring.encoders import Encoded, Labels
from training.scoring.formats import read_head


class PooledReader:
    """A reward model in vLLM, with its head here.

    Raises:
        ValueError: vLLM is not installed, or cannot run the checkpoint with these settings.
    """

    def __init__(
        self,
        model: Path | str,
        config: PretrainedConfig,
        reward_format: RewardFormat,
        labels: Labels | None,
        settings: VllmSettings,
        *,
        max_length: int,
        dtype: torch.dtype | None = None,
    ) -> None:
        require_vllm("scoring.engine")
        from resources.engines.vllm_pooling import VllmPooler, check_architecture

        chosen = dtype or (torch.bfloat16 if torch.cuda.is_available() else torch.float32)
        check_architecture(model, config)
        self._head = read_head(model, reward_format, labels, config)
        self._pooler = VllmPooler(
            model,
            config,
            settings,
            max_length=max_length,
            dtype=str(chosen).removeprefix("torch."),
        )

    def probabilities(self, solutions: Sequence[Encoded]) -> Iterator[dict[int, list[float]]]:
        """Yield the probabilities at the places of some solutions, by their index, in any order."""
        unread = [index for index, solution in enumerate(solutions) if not solution.places]
        yield {index: [] for index in unread}
        indices = [index for index, solution in enumerate(solutions) if solution.places]
        states = self._pooler.hidden_states(
            [solutions[index].ids for index in indices],
            [solutions[index].places for index in indices],
        )
        for row, hidden in states:
            probabilities: list[float] = torch.sigmoid(self._head(hidden)).tolist()
            yield {indices[row]: probabilities}

    def close(self) -> None:
        """End the engine."""
        self._pooler.close()
