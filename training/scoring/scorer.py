"""Score solutions with a reward model that stays loaded."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from tqdm import tqdm
from transformers import AutoConfig, PretrainedConfig
from transformers.utils.logging import disable_progress_bar

from resources.checkpoints.loading import load, load_tokenizer
from resources.storage.weights import weights_identity
from shepherd.identity import content_id
from shepherd.reward_formats import FormatChoice
from shepherd.settings import VllmSettings
from training.scoring.embedded import EmbeddedReader
from training.scoring.encoders import Encoded, encoder_of
from training.scoring.formats import format_of, is_token_classifier
from training.scoring.kinds import Kind

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Computes scores of encoded solutions."""

    def probabilities(self, solutions: Sequence[Encoded]) -> Iterator[dict[int, list[float]]]:
        """Yield the probabilities at the places of some solutions, by their index, in any order."""

    def close(self) -> None:
        """Free what it holds."""


class Scorer:
    """Score solutions with a reward model that stays loaded, on the GPU if there is one.

    ``identity`` is a hash of all that scores depend on.

    Args:
        model_path: checkpoint folder or hub name.
        kind: ``process`` for a score of each step, ``outcome`` for one of the whole solution.
        template: prompt template around the question; read by the format ``tags`` alone.
        max_length: most tokens of a sequence; by default the model's window.
        format: what the model reads (:mod:`shepherd.reward_formats`).
        dtype: precision of the weights; by default bfloat16 on a GPU and float32 on a CPU.
        device: torch device of the model; by default the GPU if there is one.
        vllm: how vLLM computes the scores; by default transformers does.
        server: base address of a server that computes them (:mod:`training.scoring.served`). The
            checkpoint is then read for its config and its tokenizer alone.
        served_as: the server's name of the model; by default ``model_path``.

    Raises:
        ValueError: the checkpoint is damaged or not what its config or its format says, the
            tokenizer lacks a token, or the model's attention window is shorter than
            ``max_length`` (lower ``max_length``).
    """

    def __init__(
        self,
        model_path: str | Path,
        *,
        kind: Kind,
        template: str,
        max_length: int | None = None,
        format: FormatChoice = "auto",
        dtype: torch.dtype | None = None,
        device: str | None = None,
        vllm: VllmSettings | None = None,
        server: str | None = None,
        served_as: str | None = None,
    ) -> None:
        disable_progress_bar()
        self.kind = kind
        config = load(AutoConfig, model_path)
        tokenizer = load_tokenizer(model_path)
        self.format = format_of(format, model_path, config, tokenizer)
        self.max_length = _length(max_length, config, model_path)
        weights = weights_identity(model_path) if server is None else f"{server} {served_as}"
        self.identity = content_id(weights, kind, self.format, template, str(self.max_length))
        self._encoder = encoder_of(self.format, tokenizer, model_path, template)
        labels = self._encoder.labels
        self._reader: Reader
        if server is not None:
            from training.scoring.served import ServedReader

            if labels is None or is_token_classifier(config):
                raise ValueError(
                    f"{model_path}: answers with a head, and a server has log-probabilities of "
                    "tokens alone: score it here, without a server"
                )
            self._reader = ServedReader(server, served_as or str(model_path), labels)
        elif vllm is None:
            self._reader = EmbeddedReader(
                model_path, config, self.format, labels, dtype=dtype, device=device
            )
        else:
            from training.scoring.pooled import PooledReader

            self._reader = PooledReader(
                model_path,
                config,
                self.format,
                labels,
                vllm,
                max_length=self.max_length,
                dtype=dtype,
            )

    def score(
        self,
        questions: Sequence[str],
        steps: Sequence[Sequence[str]],
        *,
        description: str | None = None,
    ) -> list[list[float | None]]:
        """Return sigmoid(r), the probability of the label ``+``, of every step of each solution.

        An outcome reward model gives one score for the whole solution. Steps beyond
        ``max_length`` tokens are unscored (None), because the model does not read them: a warning
        says how many. ``description`` is the title of a progress bar; None shows no bar.
        """
        units = [tuple(texts) if self.kind == "process" else ("".join(texts),) for texts in steps]
        solutions = list(zip(questions, units, strict=True))
        distinct = list(dict.fromkeys(solutions))
        encoded: list[Encoded] = []
        if distinct:
            questions_of, units_of = zip(*distinct, strict=True)
            encoded = self._encoder.encode(questions_of, units_of, self.max_length)
        scores: dict[tuple[str, tuple[str, ...]], list[float | None]] = {}
        with tqdm(
            total=len(distinct), desc=description, unit="solution", disable=description is None
        ) as bar:
            for probabilities in self._reader.probabilities(encoded):
                for index, read in probabilities.items():
                    num_unread = len(distinct[index][1]) - len(read)
                    scores[distinct[index]] = [*read, *[None] * num_unread]
                bar.update(len(probabilities))
        found = [list(scores[solution]) for solution in solutions]
        warn_of_unscored(found, self.max_length)
        return found

    def shard(self, accelerator: Accelerator) -> None:
        """Split the model over the processes, which must then all call ``score`` equally often."""
        assert isinstance(self._reader, EmbeddedReader), "the others hold no model here"
        self._reader.shard(accelerator)

    def close(self) -> None:
        """Free the model."""
        self._reader.close()


def warn_of_unscored(scores: Sequence[Sequence[float | None]], max_length: int) -> None:
    """Say how many steps a model did not read, if any."""
    counts = [step_scores.count(None) for step_scores in scores]
    if sum(counts):
        _log.warning(
            "%d of %d steps, in %d of %d solutions, are past max_length %d and unscored: raise "
            "max_length, or score shorter solutions",
            sum(counts),
            sum(map(len, scores)),
            sum(map(bool, counts)),
            len(counts),
            max_length,
        )


def _length(max_length: int | None, config: PretrainedConfig, model: str | Path) -> int:
    """Return the most tokens that a model is to read of a sequence.

    Raises:
        ValueError: its attention reaches less far, or its config names no window.
    """
    window = getattr(config, "sliding_window", None)
    if max_length is None:
        known = [window, getattr(config, "max_position_embeddings", None)]
        windows = [int(length) for length in known if length]
        if not windows:
            raise ValueError(
                f"{model}: its config.json names no max_position_embeddings: set max_length of the "
                "reward model"
            )
        return min(windows)
    if window and window < max_length:
        raise ValueError(
            f"{model}: attends to {window} tokens, fewer than max_length {max_length}: "
            "lower max_length of the reward model in the profile"
        )
    return max_length
