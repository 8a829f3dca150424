"""Search keeps what a reward model prefers, within its budget of steps."""

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl
import pytest

from resources.sampling.searching import found_solutions, search_problems
from shepherd.requests import Completion, Request, completion_block, request_rows
from shepherd.search import ProblemSearch, Search, SearchMethod

PROBLEMS = pl.DataFrame({"problem_id": ["a", "b"], "question": ["How many?", "How much?"]})
LENGTH = 4


class Digits:
    """Continues a path by a line with one digit, by its seed; the last of four ends the text."""

    capacity = 8

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self._queue: list[Request] = []

    def add(self, requests: pl.DataFrame) -> None:
        self._queue += request_rows(requests)

    def poll(self) -> pl.DataFrame:
        request = self._queue.pop()
        self.asked.append(request)
        is_last = len(digits_of(request.prompt)) == LENGTH - 1
        text = f"{request.seed % 10}" + ("" if is_last else "\n")
        return completion_block([Completion(request.id, text, "stop", 3, 0, 2, 0.0)])

    def close(self) -> None:
        pass


def digits_of(text: str) -> list[int]:
    return [int(digit) for digit in re.findall(r"\d", text)]


def by_digit(questions: Sequence[str], steps: Sequence[Sequence[str]]) -> list[list[float]]:
    """Score a step by its digit."""
    assert len(questions) == len(steps)
    return [[digits_of(step)[0] / 10 for step in texts] for texts in steps]


def run(search: Search, engine: Digits) -> list[ProblemSearch]:
    return search_problems(
        PROBLEMS, engine, by_digit, search, template="plain", aggregation="mean", run_seed=0
    )


def rounds(engine: Digits) -> list[list[Request]]:
    """Return the requests of problem a, by length of their prompt."""
    asked = [request for request in engine.asked if request.id.startswith("a:")]
    return [[r for r in asked if len(digits_of(r.prompt)) == done] for done in range(LENGTH)]


def test_a_beam_continues_the_best_paths_of_the_round_before() -> None:
    engine = Digits()
    found = found_solutions(run(Search("beam", num_paths=8, width=4), engine))
    assert found["finish_reason"].to_list() == ["stop", "stop"]
    for before, after in zip(rounds(engine), rounds(engine)[1:], strict=False):
        paths = {r.prompt + f"{r.seed % 10}\n" for r in before}
        best = sorted(paths, key=lambda path: sum(digits_of(path)), reverse=True)[:2]
        continued = Counter(request.prompt for request in after)
        assert sum(map(sum, map(digits_of, continued))) == sum(map(sum, map(digits_of, best)))
        assert sorted(continued.values()) == [4, 4]
    last = max(sum(digits_of(r.prompt)) + r.seed % 10 for r in rounds(engine)[-1])
    assert found["score"][0] == pytest.approx(last / 10 / LENGTH)
    assert found["num_tokens"].to_list() == [2 * 8 * LENGTH] * 2


def test_trees_are_searched_apart() -> None:
    engine = Digits()
    searches = run(Search("dvts", num_paths=12, width=4), engine)
    for asked in rounds(engine)[1:]:
        by_tree = {}
        for request in asked:
            by_tree.setdefault(request.id.split(":")[1], set()).add(request.prompt)
        assert sorted(by_tree) == ["0", "1", "2"]
        assert all(len(prompts) == 1 for prompts in by_tree.values())
    for place in "012":
        first = [r.seed % 10 for r in rounds(engine)[0] if r.id.split(":")[1] == place]
        [continued] = {r.prompt for r in rounds(engine)[1] if r.id.split(":")[1] == place}
        assert digits_of(continued) == [max(first)]
    assert all(len(one.finished) > 3 for one in searches), "what was paid for is kept"


@pytest.mark.parametrize("method", ["beam", "dvts"])
def test_seeds_repeat_and_no_two_requests_share_one(method: SearchMethod) -> None:
    runs = []
    for _ in range(2):
        engine = Digits()
        runs.append(found_solutions(run(Search(method, num_paths=8), engine)).rows())
        assert len({request.seed for request in engine.asked}) == len(engine.asked)
        assert len({request.id for request in engine.asked}) == len(engine.asked)
    assert runs[0] == runs[1]


def completion(text: str, reason: str = "stop") -> Completion:
    return Completion("r", text, reason, 3, 0, 2, 0.0)


def test_finished_paths_hold_their_place_and_spare_their_draws() -> None:
    one = ProblemSearch("p", "How many?", Search("beam", num_paths=4, width=2))
    assert len(one.requests("plain", 0)) == 4
    [fresh] = one.drawn([completion(text) for text in ("9", "5\n", "5\n", "1\n")])
    assert [(path.text, path.is_finished) for path in fresh] == [
        ("9", True),
        ("5\n", False),
        ("1\n", False),
    ]
    one.select([[path.__class__(path.text, path.is_finished, float(path.text)) for path in fresh]])
    assert [request.prompt for request in one.requests("plain", 0)] == ["How many?\n5\n"] * 2
    assert one.best is not None
    assert one.best.text == "9"
    assert one.num_tokens == 8


def test_cut_and_failed_paths_are_given_up() -> None:
    one = ProblemSearch("p", "How many?", Search("beam", num_paths=2, width=2))
    [fresh] = one.drawn([completion("5", "length"), completion("", "error")])
    assert fresh == []
    one.select([fresh])
    assert one.is_done
    assert one.best is None
    assert found_solutions([one]).row(0) == ("p", "", "length", 0.0, 4)


def test_a_path_that_never_ends_is_given_up() -> None:
    one = ProblemSearch("p", "How many?", Search("dvts", num_paths=2, width=2, max_rounds=3))
    while not one.is_done:
        one.select(one.drawn([completion("again\n") for _ in one.requests("plain", 0)]))
    assert one.num_tokens == 3 * 4
    assert one.best is None


def test_paths_must_be_a_multiple_of_the_width() -> None:
    with pytest.raises(ValueError, match="make num_paths a multiple of width"):
        Search("beam", num_paths=6, width=4)
