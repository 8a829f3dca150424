"""The process that compares answers by algebra: ``python -m resources.grading.worker MIB``.

Reads one JSON object a line (``gold``, ``answer``, ``seconds``) and writes one JSON string a
line: ``numeric``, ``symbolic``, ``different``, ``unparsable`` or ``timeout`` (out of memory). A
request that takes more CPU time than its seconds ends the process. A grammar of LaTeX reads the
text, and nothing evaluates it as code.
"""

import json
import logging
import os
import resource
import signal
import sys
from itertools import cycle
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify

POINTS = (
    (0.7310585786, 1.3247179572, 2.2360679775, 0.5671432904, 3.3598856662),
    (-1.2020569031, 0.9159655941, -0.2614972128, 1.6449340668, -2.6854520010),
)
"""Two sets of values for the variables, taken in order of their names."""
ROUNDED = 1e-6
"""Relative difference allowed where a decimal stands on one side: six digits."""
EXACT = 1e-12


def judge(gold: str, answer: str) -> str:
    """Return how ``answer`` compares with ``gold``.

    Values decide where both sides have them: math-verify alone has called 4 and 4*sqrt(2) equal.
    It decides on what has no value: equations, intervals, matrices, names.
    """
    expected, given = _parse(gold), _parse(answer)
    if not expected or not given:
        return "unparsable"
    same = _same(expected[0], given[0])
    if same is None:
        return "symbolic" if verify(expected, given, timeout_seconds=None) else "different"
    if not same:
        return "different"
    return "symbolic" if getattr(expected[0], "free_symbols", None) else "numeric"


def _parse(text: str) -> list[Any]:
    wrapped = text if any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed")) else f"${text}$"
    config = [LatexExtractionConfig()]
    parsed: list[Any] = parse(wrapped, extraction_config=config, parsing_timeout=None)
    return parsed


def _same(expected: Any, given: Any) -> bool | None:
    """Compare by values: numbers, expressions, and sets and tuples of them; None if not these."""
    if isinstance(expected, sympy.Expr) and isinstance(given, sympy.Expr):
        return _same_values(expected, given)
    for kind in (sympy.FiniteSet, sympy.Tuple):
        if isinstance(expected, kind) and isinstance(given, kind):
            return _same_items(list(expected.args), list(given.args), kind is sympy.Tuple)
    return None


def _same_items(expected: list[Any], given: list[Any], ordered: bool) -> bool | None:
    if len(expected) != len(given):
        return False
    for item in expected:
        candidates = given[:1] if ordered else given
        results = [_same(item, candidate) for candidate in candidates]
        if True not in results:
            return None if None in results else False
        given.pop(results.index(True))
    return True


def _same_values(expected: sympy.Expr, given: sympy.Expr) -> bool | None:
    names = sorted((expected.free_symbols | given.free_symbols), key=str)
    decimal = expected.has(sympy.Float) or given.has(sympy.Float)
    for index, points in enumerate(POINTS if names else POINTS[:1]):
        values = dict(zip(names, cycle(points), strict=False))
        values |= {name: sympy.I for name in names if str(name) == "i"}
        left, right = (sympy.N(side.subs(values), 30) for side in (expected, given))
        if not (left.is_number and right.is_number and left.is_finite and right.is_finite):
            return None
        # Authors mean positive variables: roots of negative ones are not held against an answer.
        if index and not (left.is_real and right.is_real):
            continue
        difference, scale = abs(left - right), max(abs(left), abs(right))
        if difference > max(EXACT, ROUNDED * scale if decimal else EXACT * scale):
            return False
    return True


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    memory = int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    logging.disable(logging.CRITICAL)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # Whatever a library prints must not be taken for a reply.
    sys.stdout = sys.stderr
    # The libraries load parts of themselves at their first use, which is no answer's fault.
    judge("x+1", "\\frac{2x+2}{2}")
    print(json.dumps("ready"), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        # No handler: the signal's default action ends the process, even inside C code. CPU time,
        # so that a busy machine gives the same verdicts.
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        try:
            reason = judge(request["gold"], request["answer"])
        except MemoryError:
            reason = "timeout"
        except Exception:  # noqa: BLE001 - on such input the libraries raise almost anything
            reason = "unparsable"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(reason), file=replies, flush=True)


if __name__ == "__main__":
    main()
