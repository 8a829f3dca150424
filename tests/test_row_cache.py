from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import add, drain
from numpy.typing import NDArray
from tiny_checkpoint import rollouts, save_checkpoint
from transformers import AutoModelForCausalLM

from resources.engines import row_cache, stretches
from resources.engines.row_cache import RowCache
from resources.engines.stretches import stretch_of
from resources.engines.transformers import TransformersEngine
from training.tokenizer import build_tokenizer


@pytest.fixture(scope="module", params=[None, 7], ids=["full", "window"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return save_checkpoint(folder, "mistral", build_tokenizer(), sliding_window=request.param)


def drawn(checkpoint: Path) -> dict[str, str]:
    engine = TransformersEngine(checkpoint, batch_size=7, dtype="float32", device="cpu")
    add(engine, rollouts(temperature=1.0))
    texts = {i: completion.text for i, completion in drain(engine).items()}
    assert all(not len(stretch.rows) for stretch in engine._cache._stretches)
    return texts


def test_rows_that_have_drawn_little_read_few_slots(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = drawn(checkpoint)
    monkeypatch.setattr(row_cache, "BLOCK", 2)
    monkeypatch.setattr(stretches, "BLOCK", 2)
    slots = []
    begin_step = RowCache.begin_step

    def watch(cache: RowCache, num_drawn: NDArray[np.int64]) -> torch.Tensor:
        position = begin_step(cache, num_drawn)
        read = np.full(len(num_drawn), 2)
        for stretch in cache._stretches:
            read[stretch.rows] += stretch.num_slots
        assert (read <= 2 * (num_drawn + 1)).all()
        slots.append(read.max())
        return position

    monkeypatch.setattr(RowCache, "begin_step", watch)
    assert drawn(checkpoint) == expected
    assert max(slots) >= 16


def test_stretches_hold_each_block_once() -> None:
    places = [stretch_of(block) for block in range(9)]
    assert [number for number, _, _ in places] == [0, 1, 2, 2, 3, 3, 3, 3, 4]
    assert all(first <= block < first + count for block, (_, first, count) in enumerate(places))


def test_prompts_of_which_one_begins_the_other_share_a_copy(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_cache, "MAX_SHARING", 5)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    cache = RowCache(model, 12)
    layers, heads = model.config.num_hidden_layers, model.config.num_key_value_heads
    states = torch.randn(2, layers, heads, 4, model.config.head_dim)
    cache.load(0, 2, [5, 6], states[..., :2, :])
    cache.load(2, 4, [5, 6, 7, 8], states)
    cache.load(4, 6, [5, 6, 7], states[..., :3, :])
    cache.load(6, 7, [5, 9], states[..., :2, :])
    assert cache._copy[:7].tolist() == [0, 0, 0, 0, 0, 1, 2]
    assert cache._prompt_length[:7].tolist() == [2, 2, 4, 4, 3, 3, 2]
    assert torch.equal(cache._prompts[:, :, 0, :, :4], states)
    cache.begin_step(np.zeros(7, np.int64))
    cache.remove(np.arange(5), 7)
    assert [cache._ids[copy] for copy in cache._copy[:2]] == [[5, 6, 7], [5, 9]]
    assert torch.equal(cache._prompts[:, :, cache._copy[0], :, :3], states[..., :3, :])
