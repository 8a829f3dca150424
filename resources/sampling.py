"""Draw completions through an engine and a journal, and grade what was drawn."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl
from tqdm import tqdm

from resources.grading import grade_pairs
from resources.journal import Fingerprint, Journal, open_journal
from shepherd.answers import extract_answer
from shepherd.requests import Completion, Engine, Request

COMPLETE = ("stop", "imported")
"""Finish reasons of texts that were not cut: a cut text may end inside its answer."""


@dataclass(frozen=True)
class Cost:
    """What completions took; the sums of the same fields of :class:`Completion`."""

    num_requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> "Cost":
        """Add up; completions read back from a journal count as when they were drawn."""
        return cls(
            num_requests=len(completions),
            prompt_tokens=sum(completion.prompt_tokens for completion in completions),
            cached_tokens=sum(completion.cached_tokens for completion in completions),
            completion_tokens=sum(completion.num_tokens for completion in completions),
            seconds=sum(completion.seconds for completion in completions),
        )


@dataclass(frozen=True)
class Sampled:
    """Completions in the order of their requests, and what they took."""

    completions: list[Completion]
    cost: Cost


def sample(
    open_engine: Callable[[], Engine],
    requests: Sequence[Request],
    journal_path: Path,
    *,
    fingerprint: Fingerprint,
    description: str,
) -> Sampled:
    """Return a completion of each request, drawing those that the journal does not hold.

    The result does not depend on how often earlier runs were killed. The engine is opened only
    if something is left to draw. The journal stays, for the caller to remove once the result is
    written elsewhere.

    Raises:
        ValueError: another run has the journal open.
    """
    assert len({request.id for request in requests}) == len(requests), "request ids repeat"
    with open_journal(journal_path, fingerprint) as journal:
        left = [request for request in requests if request.id not in journal.finished]
        if left:
            with (
                closing(open_engine()) as engine,
                tqdm(
                    desc=description,
                    total=len(requests),
                    initial=len(requests) - len(left),
                    unit="completion",
                    mininterval=1.0,
                ) as bar,
            ):
                _draw(engine, left, journal, bar.update)
        completions = [journal.finished[request.id] for request in requests]
    return Sampled(completions, Cost.of(completions))


def _draw(
    engine: Engine,
    requests: Sequence[Request],
    journal: Journal,
    advance: Callable[[int], object],
) -> None:
    """Draw all requests, in order, with twice the engine's capacity queued."""
    waiting, num_queued, num_left = iter(requests), 0, len(requests)
    while num_left:
        fresh = list(islice(waiting, 2 * engine.capacity - num_queued))
        engine.add(fresh)
        finished = engine.poll()
        assert finished, "the engine finished nothing although requests are queued"
        journal.record(finished)
        advance(len(finished))
        num_queued += len(fresh) - len(finished)
        num_left -= len(finished)


def grade_completions(frame: pl.DataFrame, gold: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with the columns answer, is_correct and grade_reason.

    Takes problem_id, text and finish_reason, and ``gold``: problem_id, gold_answer. A completion
    that is an error, was cut at its token limit or names no answer is incorrect, ``missing``.
    """
    graded = frame.join(
        gold.select("problem_id", "gold_answer"),
        on="problem_id",
        how="left",
        maintain_order="left",
    )
    assert graded["gold_answer"].null_count() == 0
    whole = graded["finish_reason"].is_in(COMPLETE)
    extracted = {text: extract_answer(text) for text in graded["text"].filter(whole).unique()}
    answers = [
        extracted[text] if is_whole else None
        for text, is_whole in zip(graded["text"], whole, strict=True)
    ]
    verdicts = grade_pairs(list(zip(graded["gold_answer"], answers, strict=True)))
    return frame.with_columns(
        pl.Series("answer", answers, dtype=pl.String),
        pl.Series("is_correct", [verdict.correct for verdict in verdicts], dtype=pl.Boolean),
        pl.Series("grade_reason", [verdict.reason for verdict in verdicts], dtype=pl.String),
    )
