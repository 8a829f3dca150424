"""Every benchmark runs at its smallest size, explains itself, and names what is missing."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import names
from benchmarks.command import INTERRUPTED, USER_CAN_FIX, Benchmark, Size
from benchmarks.report import Result, at_most

WITHOUT_SIZES = {"compare_homes", "gpu", "gsm8k_import", "ray_nodes"}
"""They have no sizes, print row by row or have tests of their own."""
WITH_SIZES = [name for name in names() if name not in WITHOUT_SIZES]
SLOW = {
    *("answer_likelihood", "busy_cpu", "demo_study", "engine_overhead", "grading", "int8_draws"),
    *("kill_chain", "kill_resume", "label_io", "label_quality", "paper_study", "pilot"),
    *("process_bench", "report_page", "scale_out", "search", "sql", "step_rewards", "store_kills"),
    *("ui",),
}
"""These take more than about five CPU seconds at their smallest size."""
MISSING = re.compile(
    r"is not installed|no browser is installed|does not exist|cannot be added here|not start here"
)
RESULT_FIELDS = ["name", "value", "unit", "baseline", "target", "met"]


def benchmark_of(name: str) -> Benchmark:
    benchmark = importlib.import_module(f"benchmarks.{name}").BENCHMARK
    assert isinstance(benchmark, Benchmark)
    return benchmark


def report_of(name: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return what a benchmark prints at its smallest size; skip the test if a part is missing."""
    code = benchmark_of(name).main(["--smallest", "--json", *arguments])
    out, err = capsys.readouterr()
    if code == USER_CAN_FIX:
        [line] = err.splitlines()
        assert out == ""
        assert MISSING.search(line), line
        pytest.skip(line)
    assert code == 0, err
    [line] = out.splitlines()
    report: dict[str, Any] = json.loads(line)
    return report


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in WITH_SIZES],
)
def test_the_smallest_size_prints_one_json_object(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(name, capsys)
    assert list(report) == ["benchmark", "command", "results"]
    assert report["benchmark"] == name
    assert report["command"] == f"python -m benchmarks.{name} --smallest"
    assert report["results"]
    for result in report["results"]:
        assert list(result) == RESULT_FIELDS
        assert isinstance(result["name"], str)
        assert isinstance(result["value"], int | float)
        assert isinstance(result["unit"], str)
        assert result["met"] in (None, True, False)


@pytest.mark.slow
def test_kills_and_a_lost_machine_change_nothing_in_a_store(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = report_of("kill_chain", capsys, "--in-store")["results"]
    assert [each["name"] for each in results if each["met"] is False] == []


@pytest.mark.slow
def test_a_shard_goes_on_at_another_node_of_ray(capsys: pytest.CaptureFixture[str]) -> None:
    results = report_of("ray_nodes", capsys)["results"]
    # Seconds depend on what else the machine does.
    counts = {each["name"]: each["value"] for each in results if each["unit"] != "s"}
    assert counts == {
        "recorded requests drawn again after the kill": 0,
        "retries on the node that was killed": 0,
    }


@pytest.mark.parametrize("name", names())
def test_help_explains_and_measures_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = benchmark_of(name)
    with pytest.raises(SystemExit) as exit_:
        benchmark.main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert benchmark.name == name
    assert benchmark.description.splitlines()[0] in text
    assert "Exit codes" in text
    for size in benchmark.sizes:
        assert f"--{size.name}" in text


def test_help_of_all_lists_every_benchmark() -> None:
    command = [sys.executable, "-m", "benchmarks", "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in names():
        assert f"python -m benchmarks.{name} " in text


def test_missing_data_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHEPHERD_SHARED_DATA", str(tmp_path))
    assert benchmark_of("splitting").main(["--smallest"]) == USER_CAN_FIX
    [line] = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line
    assert "SHEPHERD_SHARED_DATA" in line


def test_a_missed_target_ends_with_1_but_not_at_the_smallest_size(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(options: object) -> list[Result]:
        return [at_most("mistakes", 3, "mistakes", 0)]

    benchmark = Benchmark("made_up", "Is it right?", run, sizes=[Size("rows", 10, 1, "rows")])
    assert benchmark.main(["--smallest"]) == 0
    assert benchmark.main([]) == 1
    assert "1 targets missed: mistakes" in capsys.readouterr().err


def test_sigterm_ends_what_a_benchmark_has_started() -> None:
    ended = []

    def run(options: object) -> list[Result]:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            ended.append("daemon")
        return []

    assert Benchmark("made_up", "", run).main([]) == INTERRUPTED
    assert ended == ["daemon"]


def test_a_given_size_wins_over_the_smallest() -> None:
    benchmark = Benchmark("made_up", "", lambda _: [], sizes=[Size("num-rows", 10, 1, "rows")])
    assert benchmark.parse([]).num_rows == 10
    assert benchmark.parse(["--smallest"]).num_rows == 1
    assert benchmark.parse(["--smallest", "--num-rows", "5"]).num_rows == 5


def test_the_stubbed_pipeline_labels_every_solution() -> None:
    command = [sys.executable, "-m", "benchmarks.stubbed_pipeline", "--solutions", "20"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input="begin\n")
    ready, measured = done.stdout.splitlines()
    assert ready == "ready"
    seconds, mib = map(float, measured.split())
    assert seconds > 0
    assert mib > 10
