"""What the progress bar of a stage says on a slow model."""

import time
from pathlib import Path

import polars as pl
import pytest
from fake_engine import FakeEngine

from resources.sampling import drawing_bar
from resources.sampling.drawing_bar import DrawingBar
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList
from shepherd.requests import Completion, Request, completion_block, request_block


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Rounds:
    """A source of problems whose number of requests is not known before the first is done."""

    unit = "problem"
    total = 10
    num_done = 0
    num_left: int | None = None

    def take(self, count: int) -> pl.DataFrame:
        raise NotImplementedError

    def add_completions(self, completions: pl.DataFrame) -> None:
        raise NotImplementedError


def drawn(count: int) -> pl.DataFrame:
    return completion_block(Completion(f"{n}", "a", "stop", 5, 0, 30, 0.1) for n in range(count))


def requests(count: int) -> pl.DataFrame:
    return request_block(Request(f"{n}", "How many?", n, 0.7, 9) for n in range(count))


def test_a_stage_of_known_requests_shows_speed_and_the_time_left() -> None:
    source, clock = RequestList(requests(40)), Clock()
    with DrawingBar("solutions", source, clock) as bar:
        # A journal held 20 of them: they say nothing about the engine's speed.
        source.add_completions(drawn(20))
        bar.opened(4)
        bar.queued(4)
        clock.now += 60
        bar.drawn(drawn(4))
        assert bar.status() == "2.0 tokens/s, 04:00 left"


def test_a_stage_in_rounds_shows_its_completions_before_a_problem_is_done() -> None:
    source, clock = Rounds(), Clock()
    with DrawingBar("rollouts", source, clock) as bar:
        bar.opened(50)
        bar.queued(50)
        clock.now += 100
        bar.drawn(drawn(50))
        assert bar.status() == "50 completions, 15 tokens/s"
        source.num_done, source.num_left = 1, 450
        bar.advance()
        assert bar.status() == "50 completions, 15 tokens/s, 15:00 left"


def test_completions_that_are_being_drawn_count_as_half() -> None:
    source, clock = RequestList(requests(100)), Clock()
    with DrawingBar("solutions", source, clock) as bar:
        bar.opened(40)
        bar.queued(60)
        clock.now += 50
        bar.drawn(drawn(5))
        # One in eight says nothing yet: the longer ones are all on their way.
        assert bar.status() == "drawing 55 completions, 5 finished"
        clock.now += 50
        bar.drawn(drawn(5))
        bar.queued(60)
        # 10 finished and 40 by half in 100 s; 90 - 20 are left.
        assert bar.status() == "9.0 tokens/s, 03:53 left"
        source.add_completions(drawn(10))
        bar.advance()
        assert bar.status() == "9.0 tokens/s, 03:53 left"


def test_time_passes_on_the_console_while_nothing_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing_bar, "TICK_SECONDS", 0.01)
    with DrawingBar("solutions", RequestList(requests(40))) as bar:
        bar.opened(40)
        bar.queued(40)
        time.sleep(0.2)
    lines = [line for line in capsys.readouterr().err.split("\r") if "none finished" in line]
    assert len(lines) > 3
    assert "drawing 40 completions, none finished yet" in lines[-1]
    assert not bar._ticker.is_alive()


def test_the_console_says_what_a_stage_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_completions(
        FakeEngine,
        RequestList(requests(9)),
        tmp_path / "journal",
        fingerprint={"weights": "x"},
        description="solutions gsm8k 00 generator",
    )
    console = capsys.readouterr().err
    assert "opening the engine" in console
    assert "9/9 completions" in console
    assert "tokens/s" in console
