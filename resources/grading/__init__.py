"""Judge answers against gold answers, each distinct pair once.

Plain answers are compared exactly in this process (``shepherd.equivalence``). What needs algebra
goes to worker processes (``resources.grading.pool``) with a time and a memory limit. No signal
handler is set, so this works in any thread; a forked child starts workers of its own.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from resources.grading.pool import WORKERS, Reason
from shepherd.equivalence import compare
from shepherd.plain_text import MAX_LENGTH

__all__ = ["Reason", "Verdict", "grade_pairs"]


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is correct, and how that was found."""

    correct: bool
    reason: Reason


def grade_pairs(
    pairs: Sequence[tuple[str, str | None]], *, seconds: float = 5.0, num_workers: int = 2
) -> list[Verdict]:
    """Return the verdict of each pair (gold answer, answer) in order; None is no answer.

    ``seconds`` is the CPU time that a worker may take for one pair.

    Raises:
        RuntimeError: no worker starts, or workers are killed from outside again and again (the
            machine may be out of memory).
    """
    verdicts: dict[tuple[str, str | None], Verdict] = {}
    undecided: list[tuple[str, str]] = []
    for gold, answer in dict.fromkeys(pairs):
        verdict = _plain_verdict(gold, answer)
        if verdict is not None:
            verdicts[gold, answer] = verdict
        else:
            assert answer is not None
            undecided.append((gold, answer))
    if undecided:
        verdicts.update(_algebra_verdicts(undecided, seconds, num_workers))
    return [verdicts[pair] for pair in pairs]


def _plain_verdict(gold: str, answer: str | None) -> Verdict | None:
    if answer is None or not answer.strip():
        return Verdict(False, "missing")
    if max(len(answer), len(gold)) > MAX_LENGTH:
        return Verdict(True, "exact") if answer == gold else Verdict(False, "unparsable")
    comparison = compare(gold, answer)
    if comparison == "undecided":
        return None
    return _PLAIN[comparison]


_PLAIN = {
    "equal": Verdict(True, "exact"),
    "rounded": Verdict(True, "numeric"),
    "different": Verdict(False, "different"),
}


def _algebra_verdicts(
    pairs: list[tuple[str, str]], seconds: float, num_workers: int
) -> dict[tuple[str, str | None], Verdict]:
    def judge(pair: tuple[str, str]) -> Verdict:
        with WORKERS.borrow() as worker:
            reason = worker.judge(*pair, seconds)
        return Verdict(reason in ("numeric", "symbolic"), reason)

    with ThreadPoolExecutor(min(num_workers, len(pairs))) as threads:
        return dict(zip(pairs, threads.map(judge, pairs), strict=True))
