"""How fast does the embedded engine draw, idle and beside a busy process?

    python -m benchmarks.busy_cpu [--json] [--against CHECKOUT]

Runs ``shepherd run`` on a profile that draws: solutions of word problems by base-small, and 8
rollouts a prefix by base-large, in float32. A round draws once idle and once beside a process that
computes without end. The rate is that of the table ``rollout_costs``: tokens of rollouts over the
engine's seconds. With ``--against`` another checkout of this project draws the same in turn.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least
from shepherd.schemas import ROLLOUT_COSTS

HERE = Path(__file__).resolve().parent.parent
MIN_SHARE = 0.5
"""The target: the rate beside a busy process as a share of the idle rate."""
MIN_GAIN = 1.1
"""The target: the idle rate as a multiple of the other checkout's."""

PROFILE = """\
shards: 1
datasets: {{words: {{source: word_problems, num_train: {problems}, num_test: 0}}}}
generators: {{generator: {{base: base-small, solves: [train]}}}}
completer: {{base: base-large}}
annotation: {{annotators: [{{kind: monte_carlo, num_rollouts: 8}}]}}
engine: {{batch_size: 256, dtype: float32}}
sampling: {{samples_per_problem: 8, temperature: 0.7, rollout_temperature: 0.7, max_tokens: 100}}
"""
ASSETS = ("problems", "solutions", "steps", "rollouts")


def rate(checkout: Path, profile: Path, home: Path) -> float:
    """Draw into a fresh home with the command of a checkout; return tokens a second.

    Raises:
        ValueError: the command fails.
    """
    command = (sys.executable, "-m", "cli", "run", "--profile", str(profile), "--home", str(home))
    done = subprocess.run(
        [*command, "--assets", *ASSETS],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{checkout}: shepherd run fails: {done.stderr.strip()[-500:]}")
    files = home.glob(f"lake/{ROLLOUT_COSTS.name}/**/*.parquet")
    costs = pl.concat(pl.read_parquet(path) for path in files)
    costs = costs.filter(pl.col("stage") == "rollouts")
    return float(costs["completion_tokens"].sum()) / float(costs["seconds"].sum())


@contextmanager
def busy_process() -> Iterator[None]:
    """Let another process compute meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run(options: argparse.Namespace) -> list[Result]:
    """Measure each checkout in turn, idle and busy.

    Raises:
        ValueError: ``shepherd run`` fails in one of them.
    """
    profile = options.folder / "profile.yaml"
    profile.write_text(PROFILE.format(problems=options.problems))
    checkouts = {"this": HERE, **({"other": options.against} if options.against else {})}
    rates: dict[tuple[str, bool], list[float]] = {}
    for number in range(options.rounds):
        for name, checkout in checkouts.items():
            home = options.folder / f"{name}-{number}"
            rates.setdefault((name, False), []).append(rate(checkout, profile, home / "idle"))
            with busy_process():
                rates.setdefault((name, True), []).append(rate(checkout, profile, home / "busy"))
    results: list[Result] = []
    for name in checkouts:
        idle, busy = rates[name, False], rates[name, True]
        share = median(b / i for b, i in zip(busy, idle, strict=True))
        results += [
            Result(f"{name}: idle", round(median(idle)), "tokens/s"),
            Result(f"{name}: beside a busy process", round(median(busy)), "tokens/s"),
            at_least(f"{name}: busy of idle", round(share, 2), "share", MIN_SHARE)
            if name == "this"
            else Result(f"{name}: busy of idle", round(share, 2), "share"),
        ]
    if options.against:
        for is_busy, target in ((False, MIN_GAIN), (True, 1.0)):
            pairs = zip(rates["this", is_busy], rates["other", is_busy], strict=True)
            gain = round(median(own / other for own, other in pairs), 2)
            where = "beside a busy process" if is_busy else "idle"
            results.append(at_least(f"this over other, {where}", gain, "times", target))
    return results


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the other checkout."""
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="folder of another version to compare with"
    )


BENCHMARK = Benchmark(
    "busy_cpu",
    __doc__,
    run,
    sizes=[
        Size("problems", 12, 1, "problems, each with 8 solutions"),
        Size("rounds", 3, 1, "rounds; values are medians over them"),
    ],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
