import random
from collections.abc import Callable
from dataclasses import astuple
from itertools import accumulate
from pathlib import Path

import polars as pl
import pytest
from fake_engine import FakeEngine, complete
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.grading import Verdict, grade_pairs
from resources.sampling.completion_grading import CompletionGrader, grade_completions
from resources.sampling.cost import Cost
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList, with_completions
from resources.storage.growing_frame import GrowingFrame
from resources.storage.journal import read_journal
from shepherd.dependencies import Fingerprint
from shepherd.requests import COMPLETIONS, Engine, Request, request_block

FINGERPRINT: Fingerprint = {"seed": 1}


def ask(num: int, prompt: str = "How many?\n") -> list[Request]:
    return [Request(f"p{i}:0", prompt, i, 0.7, 64) for i in range(num)]


Sampled = tuple[list[tuple[object, ...]], Cost]


def draw(open_engine: Callable[[], Engine], requests: list[Request], folder: Path) -> Sampled:
    source = RequestList(request_block(requests))
    cost = draw_completions(
        open_engine,
        source,
        folder / "words.journal",
        fingerprint=FINGERPRINT,
        description="solutions words 00 weak",
    )
    return source.results().rows(), cost


def never() -> Engine:
    raise AssertionError("the engine was opened although nothing is left to draw")


class Stopped(FakeEngine):
    """Is interrupted after some polls, as by Ctrl-C."""

    def __init__(self, polls: int, capacity: int = 4) -> None:
        super().__init__(capacity=capacity)
        self._polls = polls

    def poll(self) -> pl.DataFrame:
        self._polls -= 1
        if self._polls < 0:
            raise KeyboardInterrupt
        return super().poll()


def test_completions_come_in_the_order_of_requests(tmp_path: Path) -> None:
    requests, engine = ask(30), FakeEngine(capacity=4)
    drawn, cost = draw(lambda: engine, requests, tmp_path)
    completions = map(complete, requests)
    assert drawn == [
        (request.id, request.seed, one.text, one.finish_reason, one.num_tokens)
        for request, one in zip(requests, completions, strict=True)
    ]
    assert cost == Cost(30, 60, 30, 210, 7.5)
    assert engine.added == [request.id for request in requests]
    assert engine.most_queued == 8
    assert engine.closed


def test_a_finished_stage_needs_no_engine(tmp_path: Path) -> None:
    requests = ask(10)
    first = draw(FakeEngine, requests, tmp_path)
    assert draw(never, requests, tmp_path) == first
    assert draw(never, requests[3:5], tmp_path)[0] == first[0][3:5]
    assert draw(never, [], tmp_path) == ([], Cost(0, 0, 0, 0, 0))


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 6), max_size=5), st.integers(0, 25))
def test_interrupted_runs_add_up_to_an_undisturbed_one(
    tmp_path_factory: pytest.TempPathFactory, interruptions: list[int], num: int
) -> None:
    requests, undisturbed = ask(num), tmp_path_factory.mktemp("undisturbed")
    disturbed = tmp_path_factory.mktemp("disturbed")
    done: set[str] = set()
    for polls in interruptions:
        engine = Stopped(polls)
        try:
            draw(lambda engine=engine: engine, requests, disturbed)  # type: ignore[misc]
        except KeyboardInterrupt:
            assert engine.closed
        assert done.isdisjoint(engine.added)
        done = set(read_journal(disturbed / "words.journal")["request_id"])
    result = draw(FakeEngine, requests, disturbed)
    assert result == draw(FakeEngine, requests, undisturbed)


def test_what_finished_is_kept_before_its_source_is_told(tmp_path: Path) -> None:
    source = RequestList(request_block(ask(100)))
    with pytest.raises(KeyboardInterrupt):
        draw_completions(
            lambda: Stopped(polls=2, capacity=64),
            source,
            tmp_path / "words.journal",
            fingerprint=FINGERPRINT,
            description="interrupted before an eighth of its batch had finished",
        )
    assert source.num_done == 0
    assert 2 <= read_journal(tmp_path / "words.journal").height <= 6


def test_frames_keep_all_rows() -> None:
    frames = GrowingFrame(pl.Schema({"number": pl.Int64()}))
    sizes = [1] * 600 + [2000] + [3] * 10
    for first, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
        frames.add(pl.DataFrame({"number": range(first, first + size)}))
    assert sorted(frames.frame()["number"]) == list(range(sum(sizes)))


def test_more_draws_go_on_from_fewer(tmp_path: Path) -> None:
    draw(FakeEngine, ask(5), tmp_path)
    engine = FakeEngine()
    assert draw(lambda: engine, ask(8), tmp_path)[1].num_requests == 8
    assert engine.added == ["p5:0", "p6:0", "p7:0"]


def test_errors_are_completions(tmp_path: Path) -> None:
    requests = [*ask(3, "boom"), Request("q:0", "How many?", 9, 0.7, 64)]
    sampled = draw(FakeEngine, requests, tmp_path)
    assert [row[3] for row in sampled[0]] == ["error"] * 3 + ["stop"]
    assert draw(never, requests, tmp_path) == sampled


def test_progress_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(FakeEngine, ask(10), tmp_path)
    draw(FakeEngine, ask(12), tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert "solutions words 00 weak" in err
    assert "12/12" in err


GOLD = pl.DataFrame({"problem_id": ["p", "q"], "gold_answer": ["14", "3"]})
GRADES = [
    # problem, text, finish_reason, answer, is_correct, grade_reason
    ("p", "Step 2: 7 * 2 = 14.\nThe answer is: 14", "stop", "14", True, "exact"),
    ("q", "The answer is: 14", "stop", "14", False, "different"),
    ("p", "The answer is: 14", "length", None, False, "missing"),
    ("p", "The answer is: 14", "imported", "14", True, "exact"),
    ("p", "", "error", None, False, "missing"),
    ("q", "I do not know.", "stop", None, False, "missing"),
    ("q", "", "stop", None, False, "missing"),
]


def test_grades() -> None:
    names = ("problem_id", "text", "finish_reason", "answer", "is_correct", "grade_reason")
    expected = pl.DataFrame(GRADES, schema=names, orient="row")
    assert grade_completions(expected.select(names[:3]), GOLD).equals(expected)


def test_a_pair_of_answers_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[tuple[str, str | None]] = []

    def judge(pairs: list[tuple[str, str | None]]) -> list[Verdict]:
        judged.extend(pairs)
        return grade_pairs(pairs)

    monkeypatch.setattr("resources.sampling.completion_grading.grade_pairs", judge)
    grader = CompletionGrader()
    for text in ("The answer is: 14", "So 14.\nThe answer is: 14", "The answer is: 3"):
        assert grader.are_correct(["14"], [text], ["stop"]) == [text.endswith("14")]
    assert judged == [("14", "14"), ("14", "3")]


def test_grades_keep_rows_and_their_order() -> None:
    rows = random.Random(0).choices(GRADES, k=200)
    frame = pl.DataFrame(
        [row[:3] for row in rows], schema=("problem_id", "text", "finish_reason"), orient="row"
    )
    graded = grade_completions(frame, GOLD)
    assert graded.rows() == rows
    empty = grade_completions(frame.clear(), GOLD)
    assert empty.schema == graded.schema
    assert empty.is_empty()


@settings(deadline=None)
@given(order=st.permutations(range(7)), num_hashes=st.sampled_from([3, 2**32]))
def test_completions_find_their_requests_in_any_order(order: list[int], num_hashes: int) -> None:
    names = [f"p:{k}" for k in range(7)]
    completions = pl.DataFrame(
        {"request_id": [names[k] for k in order], "text": [f"text {k}" for k in order]}
    )
    with pytest.MonkeyPatch.context() as patch:
        hashed = pl.Expr.hash
        patch.setattr(pl.Expr, "hash", lambda self: hashed(self) % num_hashes)
        found = with_completions(pl.DataFrame({"id": names}), completions)
    assert found.rows() == [(name, f"text {k}") for k, name in enumerate(names)]


def test_request_ids_that_repeat_are_refused() -> None:
    with pytest.raises(AssertionError, match="repeat"):
        RequestList(request_block([*ask(2), *ask(1)]))


def test_cost_of_nothing() -> None:
    assert astuple(Cost.of(COMPLETIONS.to_frame())) == (0, 0, 0, 0, 0, 0)
