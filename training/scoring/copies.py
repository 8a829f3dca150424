"""Score on several GPUs: a copy of the reward model on each, in a process of its own."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm import tqdm

from shepherd.reward_formats import FormatChoice
from shepherd.settings import ScoringSettings
from training.scoring.kinds import Kind
from training.scoring.scorer import Scorer, warn_of_unscored

PARTS_PER_COPY = 8
"""Parts of the solutions that each copy scores, one after the other, for the progress bar."""


class CopiedScorer:
    """A reward model with a copy on each of several devices.

    Solutions of one question go to one copy, which reads their common prefixes once.

    Args:
        model: checkpoint folder or hub name.
        settings: the format, and the number of copies.
        kind: ``process`` for a score of each step, ``outcome`` for one of the whole solution.
        template: prompt template around the question; read by the format ``tags`` alone.
        max_length: most tokens of a sequence; None: the model's window.
        devices: torch devices; by default the first GPUs, one for each copy.

    Raises:
        ValueError: there are fewer GPUs than copies.
    """

    def __init__(
        self,
        model: str | Path,
        settings: ScoringSettings,
        *,
        kind: Kind,
        template: str,
        max_length: int | None,
        devices: Sequence[str] | None = None,
    ) -> None:
        num_gpus = torch.cuda.device_count()
        if devices is None and num_gpus < settings.num_copies:
            raise ValueError(
                f"scoring.num_copies: there are {num_gpus} GPUs for {settings.num_copies} copies "
                f"of {model}: lower it"
            )
        places = devices or [f"cuda:{index}" for index in range(settings.num_copies)]
        arguments = str(model), kind, template, max_length, settings.format
        self._model = model
        # CUDA cannot be used in a forked process.
        context = get_context("spawn")
        self._copies = [(ProcessPoolExecutor(1, context), (place, *arguments)) for place in places]

    def score(
        self,
        questions: Sequence[str],
        steps: Sequence[Sequence[str]],
        *,
        description: str | None = None,
    ) -> list[list[float | None]]:
        """Return the scores of :meth:`training.scoring.scorer.Scorer.score`.

        Raises:
            ValueError: the checkpoint is none that can be scored with, or a copy's process was
                killed.
        """
        running: dict[Future[tuple[list[list[float | None]], int]], list[int]] = {}
        parts = parts_of(questions, steps, PARTS_PER_COPY * len(self._copies))
        for number, indices in enumerate(parts):
            copy, arguments = self._copies[number % len(self._copies)]
            part = [questions[index] for index in indices], [steps[index] for index in indices]
            running[copy.submit(_score, arguments, *part)] = indices
        found: list[list[float | None]] = [[] for _ in questions]
        longest = 0
        with tqdm(
            total=len(questions), desc=description, unit="solution", disable=description is None
        ) as bar:
            try:
                for done in as_completed(running):
                    scores, longest = done.result()
                    for index, step_scores in zip(running[done], scores, strict=True):
                        found[index] = step_scores
                    bar.update(len(scores))
            except BrokenProcessPool as error:
                raise ValueError(
                    f"{self._model}: the process of a copy was killed, perhaps for its memory: "
                    "lower scoring.num_copies, and run again"
                ) from error
        warn_of_unscored(found, longest)
        return found

    def close(self) -> None:
        """End the processes."""
        for copy, _ in self._copies:
            copy.shutdown(cancel_futures=True)


def parts_of(
    questions: Sequence[str], steps: Sequence[Sequence[str]], num_parts: int
) -> list[list[int]]:
    """Split solutions into at most ``num_parts`` parts of similar length, as lists of indices.

    Solutions of one question stay together. The longest groups are dealt first, each to the part
    that is shortest then.
    """
    groups: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(question, []).append(index)
    lengths = [sum(map(len, texts)) for texts in steps]
    length_of = {question: sum(lengths[i] for i in group) for question, group in groups.items()}
    parts: list[list[int]] = [[] for _ in range(min(num_parts, len(groups)))]
    totals = [0] * len(parts)
    for question in sorted(groups, key=length_of.__getitem__, reverse=True):
        shortest = totals.index(min(totals))
        parts[shortest] += groups[question]
        totals[shortest] += length_of[question]
    return parts


Arguments = tuple[str, str, Kind, str, int | None, FormatChoice]
"""Device, checkpoint, kind, template, longest sequence and format."""


def _score(
    arguments: Arguments, questions: Sequence[str], steps: Sequence[Sequence[str]]
) -> tuple[list[list[float | None]], int]:
    """Return the scores of a part by this process's copy, and the tokens that it reads at most."""
    scorer = _open(*arguments)
    return scorer.score(questions, steps), scorer.max_length


@cache
def _open(
    device: str,
    model: str,
    kind: Kind,
    template: str,
    max_length: int | None,
    reward_format: FormatChoice,
) -> Scorer:
    """Open the copy of this process."""
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    # The parent says how many steps are unscored, once for all copies.
    logging.getLogger(warn_of_unscored.__module__).setLevel(logging.ERROR)
    return Scorer(
        model,
        kind=kind,
        template=template,
        max_length=max_length,
        format=reward_format,
        device=device,
    )
