"""vLLM in processes of its own: copies side by side, and new weights beside a training."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny_checkpoint import rollouts
from torch import distributed
from vllm_setup import ENVIRONMENT, WINDOW, content, draw, needs_vllm, save_small_model

from resources.engines import copy_processes, open_engine, open_reloadable_engine
from resources.engines.side_by_side import SideBySideEngine
from shepherd.settings import EngineSettings, VllmEngineSettings

pytestmark = [pytest.mark.slow, needs_vllm]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        # Its own process starts anew where this one has threads.
        patch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        yield
    copy_processes.end_idle_processes()


def settings(copies: int) -> EngineSettings:
    vllm = VllmEngineSettings(enforce_eager=True, max_model_len=WINDOW, copies=copies)
    return EngineSettings(kind="vllm", batch_size=8, dtype="float32", vllm=vllm)


def has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_copies_draw_what_one_engine_draws_and_leave_no_process(checkpoint: Path) -> None:
    requests = [r._replace(max_tokens=12) for r in rollouts(temperature=1.0)]
    engine = open_engine(settings(2), checkpoint)
    assert isinstance(engine, SideBySideEngine)
    assert engine.capacity == 16
    groups = [copy.process._process.pid for copy in engine._copies]
    drawn = content(draw(engine, requests))
    engine.close()
    with closing(open_engine(settings(1), checkpoint)) as alone:
        assert drawn == content(draw(alone, requests))
    copy_processes.end_idle_processes()
    deadline = time.monotonic() + 20
    while any(has_processes(group) for group in groups):
        assert time.monotonic() < deadline, "vLLM's own processes are left"
        time.sleep(0.1)


def test_new_weights_reach_an_engine_beside_a_training_that_goes_on(
    checkpoint: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    flipped = {name: weight.flip(0).contiguous() for name, weight in weights.items()}
    save_file(flipped, other / "model.safetensors", {"format": "pt"})
    requests = [r._replace(temperature=0.0, max_tokens=8) for r in rollouts(temperature=1.0)[:4]]
    with closing(open_engine(settings(1), other)) as opened:
        expected = content(draw(opened, requests))
    # That of a training in several processes.
    store = distributed.FileStore(str(tmp_path / "group"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        engine = open_reloadable_engine(settings(1), checkpoint)
        before = content(draw(engine, requests))
        engine.release()
        engine.load_weights(flipped)
        assert content(draw(engine, requests)) == expected != before
        engine.close()
        assert distributed.is_initialized()
    finally:
        distributed.destroy_process_group()
