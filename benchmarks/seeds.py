"""The whole pipeline of a profile, once a seed, and seeds side by side."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

from resources.profiles import PROFILES


def run_profile(name: str, seed: int, home: Path) -> Path:
    """Run a profile with another seed in a home of its own; return the profile written for it.

    Stages that the home holds already are not run again.
    """
    home.mkdir(parents=True, exist_ok=True)
    profile = home / "profile.yaml"
    fields = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    profile.write_text(yaml.safe_dump(fields | {"seed": seed}))
    environment = os.environ | {"SHEPHERD_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    command = [sys.executable, "-m", "cli", "run", "--profile", str(profile)]
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)
    return profile


def single_threaded() -> ProcessPoolExecutor:
    """Return a process for each core, of one thread each.

    Small models gain little from a second thread, and lose tenfold where it has to wait.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
