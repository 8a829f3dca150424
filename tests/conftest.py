"""Give the tests a home of their own, so that none works on the data of a checkout."""

import atexit
import os
import tempfile
from pathlib import Path

import pytest

from cli.run import prepare_dagster_home, silence_the_end
from resources.storage.home import Home

_HOME = tempfile.TemporaryDirectory(prefix="shepherd-tests-")

# For the processes that tests start. In this process nothing reads them at import.
os.environ.update(
    SHEPHERD_HOME=_HOME.name,
    SHEPHERD_PROFILE="tiny",
    DAGSTER_HOME=str(Path(_HOME.name) / "dagster"),
    DAGSTER_DISABLE_TELEMETRY="yes",
    # Two test processes run side by side, and torch's threads of both would wait for each other.
    OMP_NUM_THREADS="1",
)

prepare_dagster_home(Home.from_env())
atexit.register(silence_the_end)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama that knows the words of word problems."""
    import torch

    from training.pretrain import Recipe, build_model
    from training.tokenizer import build_tokenizer

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("base")
    tokenizer = build_tokenizer()
    recipe = Recipe(hidden=32, layers=2, steps=0, check_share=0.0)
    build_model(recipe, tokenizer).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
