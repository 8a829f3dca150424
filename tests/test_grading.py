import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from resources.grading import Verdict, grade_pairs, pool
from shepherd.answers import extract_answer

SHARED_DATA = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))
needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.exists(), reason="needs the shared data folder"
)

WRONG_CASES = {
    277: "the response ends in \\boxed{b}; the gold answer is 1",
    392: "the response ends in 28 \\sqrt{h} / \\sqrt[4]{3}, with h unknown; the gold answer is 28",
}
"""Rows of cases.jsonl that call a response correct whose own answer is another one."""

ALGEBRA = [
    ("x^2 + 2x + 1", "(x+1)^2", Verdict(True, "symbolic")),
    ("x^2 + 2x - 1", "(x+1)^2", Verdict(False, "different")),
    ("4", "4\\sqrt{2}", Verdict(False, "different")),
    ("1-\\frac{1}{e}", "1+\\frac{1}{e}", Verdict(False, "different")),
    ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}", Verdict(True, "numeric")),
    ("\\sqrt{2}", "1.414214", Verdict(True, "numeric")),
    ("\\sqrt{2}", "1.41", Verdict(False, "different")),
    ("x", "|x|", Verdict(False, "different")),
    ("4 + i, 4 - i", "4-\\sqrt{-1}, 4+\\sqrt{-1}", Verdict(True, "symbolic")),
    ("5", "5x", Verdict(False, "different")),
    ("x = 4", "y = 4", Verdict(False, "different")),
    ("x > 5", "5 < x", Verdict(True, "symbolic")),
    ("[0,1)", "0 \\le x < 1", Verdict(True, "symbolic")),
]

HOSTILE = [
    "9^{9^{9^{9^{9}}}}",
    "((10!)!)!",
    "\\sqrt{" * 200 + "2" + "}" * 200,
    "\\int_0^1 e^{e^{e^{x^{x}}}} dx",
    "__import__('os').system('touch hostile')",
    "\\text{__import__('os').system('touch hostile')}",
    "x" + "\0" + "y",
    "\ud800",
    "{" * 1900,
    "{" * 100_000,
]


def read_rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(SHARED_DATA / "model_outputs" / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_plain_pairs() -> None:
    assert grade_pairs([("18", "$18.00"), ("18", "19"), ("18", None), ("18", " ")]) == [
        Verdict(True, "exact"),
        Verdict(False, "different"),
        Verdict(False, "missing"),
        Verdict(False, "missing"),
    ]
    assert grade_pairs([]) == []


def test_algebra() -> None:
    pairs = [(gold, answer) for gold, answer, _ in ALGEBRA]
    assert grade_pairs(pairs + pairs) == [verdict for *_, verdict in ALGEBRA] * 2


def test_hostile_answers_are_not_evaluated_and_end() -> None:
    verdicts = grade_pairs([("x+1", answer) for answer in HOSTILE], seconds=0.5)
    assert not any(verdict.correct for verdict in verdicts)
    assert {verdict.reason for verdict in verdicts} <= {"timeout", "unparsable", "different"}
    assert "timeout" in {verdict.reason for verdict in verdicts}
    assert not Path("hostile").exists()
    assert grade_pairs([("x+1", "1+x")]) == [Verdict(True, "symbolic")]


def test_threads_share_the_workers() -> None:
    verdicts: list[list[Verdict]] = []
    threads = [
        threading.Thread(target=lambda: verdicts.append(grade_pairs([("2x", "x+x")])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [[Verdict(True, "symbolic")]] * 3


def test_plain_pairs_start_no_worker_and_workers_end_with_the_process() -> None:
    code = (
        "import os, sys\n"
        "from resources.grading import grade_pairs\n"
        "grade_pairs([('18', '$18'), ('1/2', '0.5'), ('3', '4')])\n"
        "assert 'sympy' not in sys.modules and 'subprocess' in sys.modules\n"
        "children = lambda: open(f'/proc/self/task/{os.getpid()}/children').read().split()\n"
        "assert not children()\n"
        "assert grade_pairs([('2x', 'x+x')])[0].correct\n"
        "print(*children())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=1_800
    )
    assert not any(Path(f"/proc/{child}").exists() for child in done.stdout.split())


def children() -> list[int]:
    """Return the processes that this one has started."""
    started: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        # A thread may end while it is read.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            started += map(int, (task / "children").read_text().split())
    return started


def test_a_worker_killed_while_idle_or_at_work_is_our_fault() -> None:
    assert grade_pairs([("2x", "x+x")]) == [Verdict(True, "symbolic")]
    for child in children():
        os.kill(child, signal.SIGKILL)
    assert grade_pairs([("z+1", "1+z")]) == [Verdict(True, "symbolic")]
    workers = set(children())

    def kill_once() -> None:
        time.sleep(0.3)
        for child in workers & set(children()):
            os.kill(child, signal.SIGKILL)

    killer = threading.Thread(target=kill_once)
    killer.start()
    # The pair takes longer than its limit: only the second worker's limit may end it.
    assert grade_pairs([("x+1", "9^{9^{9^{9}}}")], seconds=1) == [Verdict(False, "timeout")]
    killer.join()
    assert grade_pairs([("y+1", "1+y")]) == [Verdict(True, "symbolic")]


def test_workers_that_are_killed_again_and_again_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool._Worker, "_reply", lambda *_: None)
    monkeypatch.setattr(pool._Worker, "close", lambda _: -signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"killed 3 times by signal 9.*'2x'.*out of memory"):
        pool._Worker().judge("2x", "x+x", 1)


@needs_shared_data
def test_published_grading_facts() -> None:
    lines = (SHARED_DATA / "grading" / "cases.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    verdicts = grade_pairs(
        [
            (
                row["gold"],
                row["pred"] if row["kind"] == "answer_pair" else extract_answer(row["pred"]),
            )
            for row in rows
        ]
    )
    wrong = {
        index
        for index, (row, verdict) in enumerate(zip(rows, verdicts, strict=True))
        if verdict.correct != row["expected"]
    }
    assert len(rows) == 420
    assert wrong == set(WRONG_CASES)


@needs_shared_data
@pytest.mark.parametrize(
    ("name", "num_rows", "disagreements"),
    [
        ("gsm8k_test_openai_gpt3.jsonl.gz", 5276, {}),
        # The source's parser lost "p.m." and "{,}": docs/grading.md.
        (
            "math_qwen25math_100x8.jsonl.gz",
            800,
            {("4:30 \\text{ p.m.}", True): 8, ("10000", True): 1},
        ),
    ],
)
def test_agreement_with_the_sources_of_real_outputs(
    name: str, num_rows: int, disagreements: dict[tuple[str, bool], int]
) -> None:
    rows = read_rows(name)
    answers = [extract_answer(row["response"]) for row in rows]
    verdicts = grade_pairs(
        [(row["gold"], answer) for row, answer in zip(rows, answers, strict=True)]
    )
    found: dict[tuple[str, bool], int] = {}
    for row, answer, verdict in zip(rows, answers, verdicts, strict=True):
        if verdict.correct != row["source_correct"]:
            key = (answer or "", verdict.correct)
            found[key] = found.get(key, 0) + 1
    assert len(rows) == num_rows
    assert found == disagreements
