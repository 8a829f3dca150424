"""Give the tests a home of their own, so that none works on the data of a checkout."""

import atexit
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from planned_server import KEY, Server

from cli.dagster_home import prepare_dagster_home, silence_exit
from resources.engines.kept import close_kept_engine

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

# By default Python looks for garbage after every 700 new objects, and the imports of torch,
# transformers and Dagster alone make millions.
gc.set_threshold(50_000)

# No example has a deadline: how long one takes depends on what else the machine does.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")

prepare_dagster_home(Path(os.environ["DAGSTER_HOME"]))
atexit.register(silence_exit)


LONG_FILES = (
    *("pipeline", "ui", "examples", "mixed_profile", "ppo", "vllm_engine", "benchmarks"),
    *("training_runs", "kill_resume", "vllm_server", "warehouse", "launched_training"),
    *("grading", "definitions", "lost_runs", "architectures"),
)
"""Names of the files that take longest, without ``test_`` and ``.py``."""


def pytest_configure(config: pytest.Config) -> None:
    """Leave slow tests out, unless ``-m`` chooses tests."""
    meaning = "takes over ten seconds, as it starts servers or many processes: make slow-test"
    config.addinivalue_line("markers", f"slow: {meaning}")
    config.option.markexpr = config.option.markexpr or "not slow"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that neither of two test processes waits for the other."""
    order = {f"test_{name}": index for index, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


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


@pytest.fixture(autouse=True)
def _no_kept_engine() -> Iterator[None]:
    """Close the engine that a test leaves open: the next one may patch what opens engines."""
    yield
    close_kept_engine()


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine of servers retry after hundredths of a second, and give it a key."""
    from resources.engines import openai, replicas

    monkeypatch.setattr(openai, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(openai, "LONGEST_DELAY", 0.05)
    monkeypatch.setattr(openai, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(replicas, "FIRST_PAUSE", 0.05)
    monkeypatch.setenv("COMPLETER_KEY", KEY)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    started: list[Server] = []

    def start(*args: Any, **kwargs: Any) -> Server:
        started.append(Server(*args, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.stop()
