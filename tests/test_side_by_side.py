"""Copies of a small model that draw side by side, in processes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from blocks import add, drain, poll
from tiny_checkpoint import rollouts, save_checkpoint

from resources.engines import copy_processes, open_engine, side_by_side
from resources.engines.side_by_side import SideBySideEngine, num_copies
from resources.engines.transformers import TransformersEngine
from shepherd.settings import EngineSettings
from training.tokenizer import build_tokenizer

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("model"), "llama", build_tokenizer())


@pytest.fixture(scope="module", autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    copy_processes.end_idle_processes()


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(side_by_side, "_num_cores", lambda: 2)


@pytest.mark.slow
def test_copies_draw_what_one_process_draws(checkpoint: Path) -> None:
    requests = rollouts(temperature=1.0)
    alone = TransformersEngine(checkpoint, batch_size=6, dtype="float32", device="cpu")
    add(alone, requests)
    expected = drain(alone)
    engine = SideBySideEngine(checkpoint, 2, batch_size=6, dtype="float32")
    started = time.perf_counter()
    add(engine, requests[:7])
    completions = poll(engine)
    add(engine, requests[7:])
    completions |= drain(engine)
    elapsed = time.perf_counter() - started
    assert not poll(engine)
    # A prompt that was drawn to its end is read again for later requests.
    own = {"seconds": 0.0, "cached_tokens": 0}
    assert {i: c._replace(**own) for i, c in completions.items()} == {
        i: c._replace(**own) for i, c in expected.items()
    }
    assert 0.5 * elapsed < sum(c.seconds for c in completions.values()) <= elapsed
    processes = {id(copy) for copy in engine._copies}
    engine.close()
    with closing(SideBySideEngine(checkpoint, 2, batch_size=6, dtype="float32")) as again:
        assert {id(copy) for copy in again._copies} == processes
        add(again, requests[:3])
        assert {i: c.text for i, c in drain(again).items()} == {
            r.id: expected[r.id].text for r in requests[:3]
        }


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint that can be read") as caught:
        SideBySideEngine(tmp_path, 1, batch_size=4, dtype="float32")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_killed_copy_ends_the_stage_in_one_line(checkpoint: Path) -> None:
    engine = SideBySideEngine(checkpoint, 1, batch_size=4, dtype="float32")
    [copy] = engine._copies
    os.kill(copy._process.pid, signal.SIGKILL)
    copy._process.wait()
    with pytest.raises(ValueError, match="was ended"):
        add(engine, rollouts(temperature=1.0))
    engine.close()
    assert copy not in copy_processes._idle


@pytest.mark.usefixtures("two_cores")
def test_small_models_are_copied_to_each_core(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert num_copies(checkpoint, 512, CPU) == 2
    assert num_copies(checkpoint, 100, CPU) == 1, "two batches would be small"
    assert num_copies(checkpoint, 512, GPU) == 1
    assert num_copies("owner/model", 512, CPU) == 1
    with monkeypatch.context() as patch:
        patch.setattr(side_by_side, "SMALL_BYTES", 1000)
        assert num_copies(checkpoint, 512, CPU) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert num_copies(checkpoint, 512, CPU) == 1


@pytest.mark.usefixtures("two_cores")
def test_the_profile_need_not_ask_for_copies(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[object, ...]] = []

    class Noted(SideBySideEngine):
        def __init__(self, model: Path | str, count: int, *, batch_size: int, dtype: str) -> None:
            opened.append((model, count, batch_size, dtype))

    monkeypatch.setattr(side_by_side, "SideBySideEngine", Noted)
    open_engine(EngineSettings(dtype="float32", device="cpu"), checkpoint)
    assert opened == [(checkpoint, 2, 512, "float32")]


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000\n", 4), ("250000 100000\n", 2), ("50000 100000\n", 1)]
)
def test_a_container_has_the_cores_of_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    path = tmp_path / "cpu.max"
    monkeypatch.setattr(side_by_side, "CPU_LIMIT", path)
    assert side_by_side._num_cores() == 4
    path.write_text(limit)
    assert side_by_side._num_cores() == cores
