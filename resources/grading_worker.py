"""The process that compares answers by algebra: ``python -m resources.grading_worker MIB``.

Reads one JSON object a line (``gold``, ``answer``, ``seconds``) and writes one JSON string a
line: ``numeric``, ``symbolic``, ``different`` or ``unparsable``. The parent limits the time; the
CPU limit here only ends a worker whose parent was killed. Text is parsed by a LaTeX grammar and
never evaluated.
"""

import json
import logging
import os
import resource
import sys
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify

POINTS = (0.7310585786, 1.3247179572, 2.2360679775, -0.5671432904, 3.3598856662, 0.2247448714)
"""Values given to the variables, in order, where two expressions are compared."""


def judge(gold: str, answer: str) -> str:
    """Return how ``answer`` compares with ``gold``."""
    expected, given = _parse(gold), _parse(answer)
    if not expected or not given:
        return "unparsable"
    if not verify(expected, given, timeout_seconds=None):
        return "different"
    return _confirm(expected[0], given[0])


def _parse(text: str) -> list[Any]:
    wrapped = text if any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed")) else f"${text}$"
    config = [LatexExtractionConfig()]
    parsed: list[Any] = parse(wrapped, extraction_config=config, parsing_timeout=None)
    return parsed


def _confirm(expected: Any, given: Any) -> str:
    """Check by values what math-verify calls equal: it says so of 4 and 4*sqrt(2)."""
    if not isinstance(expected, sympy.Expr) or not isinstance(given, sympy.Expr):
        return "symbolic"
    names = sorted(expected.free_symbols | given.free_symbols, key=str)
    values = dict(zip(names, POINTS * (len(names) // len(POINTS) + 1), strict=False))
    left, right = (sympy.N(side.subs(values), 20) for side in (expected, given))
    if not (left.is_number and right.is_number):
        return "symbolic"
    close = abs(complex(left - right)) <= 1e-6 * max(1.0, abs(complex(left)))
    if not close:
        return "different"
    return "symbolic" if names else "numeric"


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    memory = int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    logging.disable(logging.CRITICAL)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr
    print(json.dumps("ready"), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_limit = int(used.ru_utime + used.ru_stime + request["seconds"]) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit, resource.RLIM_INFINITY))
        try:
            reason = judge(request["gold"], request["answer"])
        except Exception:  # noqa: BLE001 - any failure of the libraries is theirs to parse
            reason = "unparsable"
        print(json.dumps(reason), file=replies, flush=True)


if __name__ == "__main__":
    main()
