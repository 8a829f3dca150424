"""Engines that take new weights draw what an engine draws that opens their checkpoint."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import torch
from blocks import add, drain
from safetensors.torch import load_file, save_file
from tiny_checkpoint import rollouts, save_checkpoint

from resources.engines import copy_processes, new_weights
from resources.engines.copy_processes import THREADS
from resources.engines.new_weights import (
    ReloadableEngine,
    StoredWeights,
    weights_folder,
    writing_weights,
)
from resources.engines.side_by_side import SideBySideEngine
from resources.engines.transformers import TransformersEngine
from shepherd.settings import EngineSettings
from training.tokenizer import build_tokenizer

REQUESTS = rollouts(temperature=1.0, count=2)


def texts(engine: ReloadableEngine) -> dict[str, str]:
    """Draw all requests; return the text of each."""
    add(engine, REQUESTS)
    return {i: completion.text for i, completion in drain(engine).items()}


@pytest.fixture(scope="module", params=["tied", "qwen2"])
def checkpoints(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Two checkpoints of one design and different weights."""
    folder = tmp_path_factory.mktemp("models")
    design, is_tied = ("llama", True) if request.param == "tied" else (request.param, False)
    first = save_checkpoint(
        folder / "first", design, build_tokenizer(), tie_word_embeddings=is_tied
    )
    second = Path(shutil.copytree(first, folder / "second"))
    weights = load_file(first / "model.safetensors")
    torch.manual_seed(7)
    changed = {name: weight + 0.05 * torch.randn_like(weight) for name, weight in weights.items()}
    save_file(changed, second / "model.safetensors", {"format": "pt"})
    return first, second


def embedded(dtype: str) -> Callable[[Path], TransformersEngine]:
    return lambda path: TransformersEngine(path, batch_size=8, dtype=dtype, device="cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_new_weights_are_those_of_an_opened_checkpoint(
    checkpoints: tuple[Path, Path], dtype: str
) -> None:
    first, second = checkpoints
    expected = [texts(embedded(dtype)(path)) for path in checkpoints]
    assert expected[0] != expected[1]
    engine, weights = embedded(dtype)(first), load_file(second / "model.safetensors")
    assert texts(engine) == expected[0]
    engine.release()
    assert sum(p.nbytes for p in engine._model.parameters()) == 0
    engine.load_weights(weights)
    opened = embedded(dtype)(second)._model.state_dict()
    assert all(torch.equal(opened[n], w) for n, w in engine._model.state_dict().items())
    # The trainer's own tensors change while it learns.
    for weight in weights.values():
        weight.zero_()
    assert texts(engine) == expected[1]
    # Without a release.
    engine.load_weights(load_file(first / "model.safetensors"))
    assert texts(engine) == expected[0]


def test_weights_of_another_shape_are_noticed(checkpoints: tuple[Path, Path]) -> None:
    weights = load_file(checkpoints[1] / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(3)
    with pytest.raises(AssertionError, match=r"model\.norm\.weight: another shape"):
        embedded("float32")(checkpoints[0]).load_weights(weights)


@pytest.fixture
def _no_process_stays() -> Iterator[None]:
    yield
    copy_processes.end_idle_processes()


@pytest.mark.slow
@pytest.mark.usefixtures("_no_process_stays")
def test_copies_in_processes_take_new_weights(checkpoints: tuple[Path, Path]) -> None:
    first, second = checkpoints
    expected = texts(embedded("float32")(second))
    settings = EngineSettings(batch_size=8, dtype="float32", device="cpu")
    with closing(SideBySideEngine(first, settings, [{THREADS: "1"}] * 2)) as engine:
        texts(engine)
        engine.release()
        engine.load_weights(load_file(second / "model.safetensors"))
        assert texts(engine) == expected


WEIGHTS: Mapping[str, torch.Tensor] = {
    "a": torch.arange(40.0).reshape(8, 5).T,
    "b": torch.ones(3, dtype=torch.bfloat16),
    "c": torch.tensor([[2.0]]),
}


@pytest.mark.parametrize("file_bytes", [1, 166, 2**30])
@pytest.mark.parametrize("in_memory", [True, False])
def test_stored_weights_are_the_same_tensors_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file_bytes: int, in_memory: bool
) -> None:
    monkeypatch.setattr(new_weights, "FILE_BYTES", file_bytes)
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    # What a killed run leaves: a link to a file of a process that has ended.
    (tmp_path / "model-00007.safetensors").symlink_to("/proc/0/fd/3")
    with writing_weights(WEIGHTS, tmp_path):
        files = list(tmp_path.iterdir())
        assert len(files) == {1: 3, 166: 2, 2**30: 1}[file_bytes]
        assert all(path.is_symlink() == in_memory for path in files)
        found = StoredWeights(tmp_path)
        with weights_folder(found) as folder:
            assert folder == tmp_path
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], weight) for name, weight in WEIGHTS.items())
    assert not list(tmp_path.iterdir())
