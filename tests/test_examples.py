"""The commands of each example run as its README shows them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.completions_server import serve_completions

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the examples and the shipped models, and ``shepherd`` on its PATH."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    (tmp_path / "bin").mkdir()
    for name, command in (("shepherd", "-m cli "), ("python", "")):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {command}"$@"\n')
        script.chmod(0o755)
    return tmp_path


def run_commands(example: str, checkout: Path, **variables: str) -> str:
    """Run the first block of an example's README; return what it prints."""
    block = re.search(r"```bash\n(.*?)```", (EXAMPLES / example / "README.md").read_text(), re.S)
    assert block is not None
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SHEPHERD_")
    }
    del environment["DAGSTER_HOME"]
    environment |= {
        "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    done = subprocess.run(
        ["bash", "-ec", block[1]],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_own_csv(checkout: Path) -> None:
    run_commands("own_csv", checkout)
    lines = (checkout / "data/own_csv/labels/train.jsonl").read_text().splitlines()
    labels = [json.loads(line) for line in lines]
    assert labels
    assert {label["task"] for label in labels} == {"mine"}


@pytest.mark.slow
def test_openai_server(checkout: Path) -> None:
    with serve_completions("Step 1: 3 + 4 = 7.\nThe answer is: 7") as (address, prompts):
        run_commands("openai_server", checkout, OPENAI_BASE_URL=address, MODEL="any-name")
    assert prompts
    tables = checkout / "data/openai_server/lake"
    assert (tables / "step_labels" / "word_problems" / "00.parquet").is_file()


@pytest.mark.slow
def test_train_prm(checkout: Path) -> None:
    printed = run_commands("train_prm", checkout)
    assert "num_solutions=46" in printed
    assert re.search(r"\d\.\d\d  the solution", printed)


def test_each_example_is_tested() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert folders == {"own_csv", "openai_server", "train_prm"}
