"""The process that compares answers by algebra: ``python -m resources.grading.worker MIB``.

Reads one JSON object a line (``gold``, ``answer``, ``seconds``) and writes one JSON string a
line: ``numeric``, ``symbolic``, ``different``, ``unparsable`` or ``timeout`` (out of memory). A
request that takes more CPU time than its seconds ends the process with ``SIGPROF``. A grammar
of LaTeX reads the text, and nothing evaluates it as code.
"""

import json
import logging
import os
import resource
import signal
import sys

import sympy
from math_verify import LatexExtractionConfig, parse, verify

from resources.grading.algebra import has_variables, same_formulas
from shepherd.answer_forms import has_words, is_name
from shepherd.equivalence import normal_form
from shepherd.formulas import UnreadableFormula


def judge(gold: str, answer: str) -> str:
    """Return how ``answer`` compares with ``gold``.

    ``resources.grading.algebra`` decides what it reads. math-verify decides on the rest (sums,
    integrals, cases, an interval against an inequality), unless the answer has words or marks
    that it would drop.
    """
    expected, given = normal_form(gold), normal_form(answer)
    try:
        same = same_formulas(expected, given)
    except UnreadableFormula:
        same = None
    if same is None:
        return _verified(gold, answer) if _is_safe(expected) and _is_safe(given) else "unparsable"
    if not same:
        return "different"
    return "symbolic" if has_variables(expected) else "numeric"


def _is_safe(normal: str) -> bool:
    """Say whether math-verify reads all of an answer: it drops primes and multiplies letters."""
    dropped = ("'", "\\operatorname", "\\angle", "\\triangle")
    return not (has_words(normal) or is_name(normal) or any(mark in normal for mark in dropped))


def _verified(gold: str, answer: str) -> str:
    config = [LatexExtractionConfig()]
    expected, given = (
        parse(
            text if any(mark in text for mark in ("$", "\\(", "\\[", "\\boxed")) else f"${text}$",
            extraction_config=config,
            parsing_timeout=None,
        )
        for text in (gold, answer)
    )
    if not expected or not given:
        return "unparsable"
    # It falls back to comparing texts where it reads nothing, and to tolerances for values.
    if any(isinstance(side[0], str | sympy.Number) for side in (expected, given)):
        return "different"
    return "symbolic" if verify(expected, given, timeout_seconds=None) else "different"


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
    _verified("\\sum_{k=1}^n k", "\\int_0^1 x dx")
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
