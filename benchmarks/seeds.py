"""Run a profile's pipeline with another seed, and measure seeds side by side."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import polars as pl
import yaml

from resources.profiles import PROFILES

T = TypeVar("T")
STDERR_DESCRIPTOR = 2


def run_profile(
    name: str, seed: int, home: Path, changes: Mapping[str, object] | None = None
) -> Path:
    """Run a profile with another seed in ``home``; return the profile that is written for it.

    ``changes`` replaces fields of the profile; sections are merged.

    Stages that are finished in the home do not run again.
    """
    home.mkdir(parents=True, exist_ok=True)
    profile = home / "profile.yaml"
    fields = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    profile.write_text(yaml.safe_dump(merged(fields, {**(changes or {}), "seed": seed})))
    environment = os.environ | {"SHEPHERD_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    command = [sys.executable, "-m", "cli", "run", "--profile", str(profile)]
    # stdout holds only the results of the benchmark.
    subprocess.run(command, env=environment, stdout=STDERR_DESCRIPTOR, check=True)
    return profile


def single_threaded() -> ProcessPoolExecutor:
    """Return a pool with one process a core and one thread a process.

    Small models gain little from a second thread, and get ten times slower if it has to wait.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))


def map_seeds(measure: Callable[[int], T], seeds: Sequence[int]) -> list[T]:
    """Return ``measure(seed)`` of each seed: side by side, or one seed in this process."""
    if len(seeds) == 1:
        return [measure(seeds[0])]
    with single_threaded() as pool:
        return list(pool.map(measure, seeds))


def merged(fields: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return ``fields`` with ``changes``, section by section."""
    result = dict(fields)
    for name, value in changes.items():
        section = fields.get(name)
        if isinstance(section, Mapping) and isinstance(value, Mapping):
            result[name] = merged(section, value)
        else:
            result[name] = value
    return result


def mean_of(values: pl.Series) -> float:
    """Return the mean of a series that is not empty."""
    mean = values.mean()
    assert isinstance(mean, float)
    return mean


def spread_of(values: pl.Series) -> float:
    """Return the standard deviation over seeds; 0 for one seed."""
    spread = values.std()
    return spread if isinstance(spread, float) else 0.0
