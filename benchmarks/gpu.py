"""How fast are training, scoring and drawing on a GPU, and how much memory do they take?

    python -m benchmarks.gpu [--only ROW ...] [--steps 12]

Start it on a machine with a GPU; it needs no network. It checks itself in about a minute: one tiny
run of each trainer and of each engine that is installed. Then it prints one JSON line for each row
as soon as it has it, with the card and the versions of the packages. A row whose package is not
installed is skipped with one line. Llamas with random weights are made on the fly, so that no
checkpoint is needed. On a CPU every row runs with a tiny model, which shows that it runs.

``share_of_989_tflops`` counts six operations a parameter and token, embeddings included, as is
usual; ``share_without_embeddings`` counts the products of layers and attention only.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.command import Benchmark, Size
from benchmarks.gpu_check import checks, run_quietly
from benchmarks.gpu_inference import measure_scoring, measure_transformers, measure_vllm
from benchmarks.gpu_training import TRAINING_ROWS, measure_training
from benchmarks.report import Result

PACKAGES = ("torch", "transformers", "accelerate", "triton", "vllm")
ROWS = (*TRAINING_ROWS, "scoring", "engine-transformers", "engine-vllm")


def rows(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, object]]]]:
    """Yield the name of each row that is asked for, and what measures it."""
    measures: dict[str, Callable[[], dict[str, object]]] = {
        name: partial(measure_training, row, int(options.steps), options.folder, tiny=options.tiny)
        for name, row in TRAINING_ROWS.items()
    }
    for name, measure in (
        ("scoring", measure_scoring),
        ("engine-transformers", measure_transformers),
        ("engine-vllm", measure_vllm),
    ):
        measures[name] = partial(measure, options.folder, tiny=options.tiny)
    for name in options.only or ROWS:
        yield name, measures[name]


def machine() -> dict[str, object]:
    """Return the card and the versions of what computes on it."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    on_gpu = torch.cuda.is_available()
    return {
        "card": torch.cuda.get_device_name() if on_gpu else "CPU",
        "cuda": torch.version.cuda,
        **versions,
    }


def run(options: argparse.Namespace) -> list[Result]:
    """Check, then measure and print row by row; return the seconds of each row as results."""
    options.tiny = options.smallest or not torch.cuda.is_available()
    found, results = machine(), []
    if not options.unchecked:
        results += [_timed(f"check {name}", check) for name, check in checks(options.folder)]
    for name, measure in rows(options):
        started = time.perf_counter()
        try:
            measured = measure()
        except (ValueError, torch.OutOfMemoryError) as error:
            reason = str(error).splitlines()[0]
            print(f"benchmarks.gpu: {name} is skipped: {reason}", file=sys.stderr, flush=True)
            continue
        seconds = round(time.perf_counter() - started, 1)
        line = {"row": name, **measured, "seconds": seconds, **found}
        print(json.dumps(line), flush=True)
        results.append(Result(name, seconds, "s"))
    return results


def _timed(name: str, check: Callable[[], object]) -> Result:
    started = time.perf_counter()
    run_quietly(check)
    seconds = round(time.perf_counter() - started, 1)
    print(f"{name}: {seconds} s", file=sys.stderr, flush=True)
    return Result(name, seconds, "s")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of rows."""
    parser.add_argument("--only", nargs="+", choices=ROWS, help="rows to measure (default: all)")
    parser.add_argument("--unchecked", action="store_true", help="leave out the self-check")


BENCHMARK = Benchmark(
    "gpu",
    __doc__,
    run,
    sizes=[Size("steps", 12, 5, "optimizer steps of a training row; the first three do not count")],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
