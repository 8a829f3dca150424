"""A packed batch gives each example the logits that it has alone, and counts nothing twice."""

import random
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from resources.storage.model_store import BASE_MODELS
from tests.tiny_checkpoint import save_checkpoint
from training import packing
from training.packing import (
    IGNORED,
    PACKED,
    Counts,
    Example,
    attend_in_one_kernel,
    logits_of,
    next_tokens,
    pack,
    packed_attention,
)
from training.passes import padded_passes, split_passes
from training.tokenizer import build_tokenizer

ARCHITECTURES = {
    "llama": {},
    "mistral": {"sliding_window": None},
    "mistral with a window": {"sliding_window": 40},
    "qwen2": {},
}


def examples(count: int, longest: int) -> list[Example]:
    """Random sequences, of which about half the tokens are targets and two are tags."""
    rng = random.Random(0)
    found = []
    for _ in range(count):
        ids = [rng.randrange(10, 90) for _ in range(rng.randint(3, longest))]
        targets = next_tokens(ids, [rng.random() < 0.5 for _ in ids])
        found.append(Example(ids, targets, sorted(rng.sample(range(len(ids)), 2)), [1.0, 0.0]))
    return found


@pytest.fixture(params=["shipped", *ARCHITECTURES])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "shipped":
        return BASE_MODELS / "base-large"
    kind = request.param.split()[0]
    return save_checkpoint(tmp_path, kind, build_tokenizer(), **ARCHITECTURES[request.param])


def test_packed_logits_are_those_of_each_example_alone(folder: Path) -> None:
    alone, packed = (
        AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention
        ).eval()
        for attention in ("eager", PACKED)
    )
    sequences = examples(count=7, longest=40)
    expected = torch.cat(
        [
            alone(input_ids=torch.tensor([example.ids])).logits[0][
                [
                    place
                    for place, target in enumerate(example.targets)
                    if target != IGNORED or place in example.tags
                ]
            ]
            for example in sequences
        ]
    )
    batch = pack(sequences)
    found = logits_of(packed, batch)
    assert found.shape[0] < sum(len(example.ids) for example in sequences)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)
    tags = [example.ids[tag] for example in sequences for tag in example.tags]
    assert batch.ids[0, batch.places[batch.tagged]].tolist() == tags


def test_a_token_changes_no_other_example() -> None:
    model = AutoModelForCausalLM.from_pretrained(
        BASE_MODELS / "base-small", dtype=torch.float32, attn_implementation=PACKED
    )
    first, second, third = examples(count=3, longest=30)
    changed = Example([5, *second.ids[1:]], second.targets, second.tags, second.labels)
    before, after = (logits_of(model, pack([first, middle, third])) for middle in (second, changed))
    differs = (before != after).any(dim=1)
    own = pack([first]).places.shape[0], pack([third]).places.shape[0]
    assert not differs[: own[0]].any()
    assert not differs[-own[1] :].any()
    assert differs.any()


def padded_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    key_starts: torch.Tensor,
    longest: int,
    longest_key: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Compute what ``varlen_attn`` computes, by padding: CPUs lack its kernel."""
    assert starts.dtype == key_starts.dtype == torch.int32
    assert starts.equal(key_starts)
    lengths = starts.diff()
    assert longest == longest_key == lengths.max()
    assert window_size == (-1, 0)
    is_token = torch.arange(longest) < lengths[:, None]

    def unpacked(packed: torch.Tensor) -> torch.Tensor:
        padded = packed.new_zeros(len(lengths), longest, *packed.shape[1:])
        padded[is_token] = packed
        return padded.transpose(1, 2)

    attended = torch.nn.functional.scaled_dot_product_attention(
        *map(unpacked, (query, key, value)), is_causal=True, scale=scale, enable_gqa=enable_gqa
    )
    return attended.transpose(1, 2)[is_token]


def test_one_kernel_attends_as_one_example_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    batch = pack(examples(count=5, longest=30))
    query = torch.randn(1, 4, batch.ids.shape[1], 8)
    key, value = torch.randn(2, 1, 2, batch.ids.shape[1], 8)
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    expected, _ = packed_attention(
        module, query, key, value, None, lengths=batch.lengths, starts=batch.starts, scaling=0.3
    )
    monkeypatch.setattr(packing, "varlen_attn", padded_kernel)
    found = attend_in_one_kernel(query, key, value, batch.lengths, batch.starts, 0.3)
    assert found.shape == (1, batch.ids.shape[1], 4, 8)
    torch.testing.assert_close(found, expected)


def test_logits_at_tags_alone_are_those_beside_targets() -> None:
    model = AutoModelForCausalLM.from_pretrained(
        BASE_MODELS / "base-small", dtype=torch.float32, attn_implementation=PACKED
    )
    sequences = examples(count=4, longest=30)
    both, tags = pack(sequences), pack(sequences, tags_only=True)
    assert len(tags.places) == len(tags.tagged) == 8 < len(both.places)
    torch.testing.assert_close(
        logits_of(model, tags)[tags.tagged], logits_of(model, both)[both.tagged]
    )


def test_an_example_longer_than_the_models_window_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "mistral", build_tokenizer(), sliding_window=8)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=PACKED)
    with pytest.raises(ValueError, match=r"reaches back 8 tokens.*max_length to 8"):
        logits_of(model, pack([Example([5] * 9, [IGNORED] * 9, [8], [1.0])]))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(st.integers(1, 60), min_size=4, max_size=40),
    st.integers(1, 4),
    st.integers(20, 300),
)
def test_passes_hold_every_example_once_and_are_equally_many(
    lengths: list[int], num_processes: int, tokens_per_pass: int
) -> None:
    shares = split_passes(lengths, num_processes, tokens_per_pass)
    assert len(shares) == num_processes
    assert len({len(passes) for passes in shares}) == 1
    flat = [indices for passes in shares for indices in passes]
    assert sorted(index for indices in flat for index in indices) == list(range(len(lengths)))
    assert all(flat)
    fullest = max(sum(lengths[index] for index in indices) for indices in flat)
    assert fullest <= tokens_per_pass or len(shares[0]) == min(
        sum(map(len, passes)) for passes in shares
    )


def test_fewer_examples_than_processes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"raise training\.batch_size"):
        split_passes([5, 5], 3, 100)


def test_passes_of_padded_examples_hold_no_more_than_they_may() -> None:
    lengths = [5, 1, 9, 2, 2, 30]
    [passes] = padded_passes(lengths, 1, tokens_per_pass=10)
    assert sorted(index for indices in passes for index in indices) == list(range(6))
    padded = [len(indices) * max(lengths[index] for index in indices) for indices in passes]
    assert sorted(padded)[-1] == 30
    assert sorted(padded)[-2] <= 10


def test_a_process_without_an_example_gets_one_that_counts_nothing() -> None:
    shares = padded_passes([5, 7], 4, 100)
    assert sorted(index for [[index]] in shares for index in [index]) == [0, 1, 2, 3]


def test_gradients_of_passes_add_up_to_those_of_one() -> None:
    model = AutoModelForCausalLM.from_pretrained(
        BASE_MODELS / "base-small", dtype=torch.float32, attn_implementation=PACKED
    )
    sequences = examples(count=6, longest=40)

    def gradient(parts: list[list[Example]]) -> torch.Tensor:
        model.zero_grad()
        for part in parts:
            batch = pack(part, Counts.of(sequences))
            loss = torch.nn.functional.cross_entropy(
                logits_of(model, batch), batch.targets, ignore_index=IGNORED, reduction="sum"
            )
            (loss / batch.counts.targets).backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    torch.testing.assert_close(
        gradient([sequences]), gradient([sequences[:2], sequences[2:3], sequences[3:]])
    )
