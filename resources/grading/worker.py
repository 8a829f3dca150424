"""The process that compares answers by algebra: ``python -m resources.grading.worker MIB``.

Reads one JSON object a line (``gold``, ``answer``, ``seconds``) and writes one JSON string a
line: ``numeric``, ``symbolic``, ``different``, ``unparsable`` or ``timeout`` (out of memory). A
request that takes more CPU time than its seconds ends the process with ``SIGPROF``. A grammar
of LaTeX reads the text, and nothing evaluates it as code.
"""

import json
import logging
import os
import re
import resource
import signal
import sys

import sympy
from math_verify import LatexExtractionConfig, parse, verify

from resources.grading.algebra import has_variables, same_formulas
from resources.grading.constants import same_expressions
from shepherd.answer_forms import are_numbers_in_a_row, has_words, is_name
from shepherd.formulas import UnreadableFormula
from shepherd.readings import normal_form
from shepherd.unicode_math import ascii_math

_EQUALS = re.compile(r"=(?![^{}]*\})")
_SUM = re.compile(r"\\(?:sum|prod|int)(?![A-Za-z])")
_DEGREES = re.compile(r"\\circ(?![A-Za-z])|\bdegrees?\b")


def judge(gold: str, answer: str) -> str:
    """Return how ``answer`` compares with ``gold``.

    ``resources.grading.algebra`` decides what it reads. math-verify decides on the rest (sums,
    integrals, cases), unless the answer has words or marks that it would drop.
    """
    expected, given = _in_one_unit_of_angles(gold, answer)
    try:
        same = same_formulas(expected, given)
    except UnreadableFormula:
        same = None
    if same is None:
        return _verified(gold, answer) if _is_safe(expected) and _is_safe(given) else "unparsable"
    if not same:
        return "different"
    return "symbolic" if has_variables(expected) else "numeric"


def _in_one_unit_of_angles(gold: str, answer: str) -> tuple[str, str]:
    """Return the normal forms; degrees on one side are kept where the other has radians."""
    forms = [normal_form(gold), normal_form(answer)]
    in_degrees = [_DEGREES.search(ascii_math(text)) is not None for text in (gold, answer)]
    for index in (0, 1):
        if (
            in_degrees == [index == 0, index == 1]
            and "\\pi" in forms[1 - index]
            and "\\circ" not in forms[index]
        ):
            forms[index] = f"({forms[index]})^{{\\circ}}"
    return forms[0], forms[1]


def _is_safe(normal: str) -> bool:
    """Say whether math-verify reads all of an answer: it drops primes and ellipses."""
    dropped = ("'", "\\ldots", "\\operatorname", "\\angle", "\\triangle")
    return not (
        has_words(normal)
        or is_name(normal)
        or any(mark in normal for mark in dropped)
        or are_numbers_in_a_row(normal)
    )


def _verified(gold: str, answer: str) -> str:
    for chain, other in ((gold, answer), (answer, gold)):
        first, *sides = _EQUALS.split(chain)
        if len(sides) == 1 and _SUM.match(first) and not _EQUALS.search(other):
            is_true = _verified(first, sides[0]) == "symbolic"
            return judge(sides[0], other) if is_true else "different"
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
    if any(isinstance(side[0], str) for side in (expected, given)):
        return "unparsable"
    if isinstance(expected[0], sympy.Expr) and isinstance(given[0], sympy.Expr):
        same = same_expressions(expected[0].doit(), given[0].doit())
        return "symbolic" if same else "different"
    # It takes an interval for a gold inequality, and not the other way round.
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
