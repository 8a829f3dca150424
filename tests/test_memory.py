"""The formula of memory against real tensors: of the published dimensions, and of a step."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from benchmarks.gpu_training import ARCHITECTURES as ARCHITECTURES_OF_ROWS
from benchmarks.gpu_training import TRAINING_ROWS
from shepherd.architectures import ARCHITECTURES, Architecture
from shepherd.memory import (
    GIB,
    can_split,
    inference_memory,
    layer_bytes,
    training_memory,
)
from shepherd.settings import TrainingSettings
from training import fused_layers, packing
from training.fused_layers import fuse_layers
from training.master_weights import MasterWeights
from training.packing import PACKED, Batch, Example, logits_of, next_tokens, pack

SMALL = Architecture(
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=8,
    num_key_value_heads=2,
    intermediate_size=320,
    vocab_size=64,
)
LENGTH = 64
SHARDED = TrainingSettings(num_processes=8, sharded=True, tokens_per_pass=1024)
LLAMA_70B = ARCHITECTURES["meta-llama/Llama-2-70b-hf"]


def build(architecture: Architecture, kind: str = "llama") -> PreTrainedModel:
    config = AutoConfig.for_model(kind, **asdict(architecture))
    return AutoModelForCausalLM.from_config(config, attn_implementation=PACKED).train()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_are_those_of_the_real_model(name: str) -> None:
    architecture = ARCHITECTURES[name]
    with torch.device("meta"):
        model = build(architecture, "mistral" if "mistral" in name else "llama")
    norms = [p.numel() for p in model.parameters() if p.dim() == 1]
    layer = [p.numel() for p in model.model.layers[0].parameters() if p.dim() == 2]
    assert architecture.num_parameters == sum(p.numel() for p in model.parameters())
    assert architecture.norm_parameters == sum(norms)
    assert architecture.layer_parameters == sum(layer)


def test_parameters_are_as_published() -> None:
    published = {
        "meta-llama/Llama-2-7b-hf": 6_738_415_616,
        "meta-llama/Llama-2-13b-hf": 13_015_864_320,
        "meta-llama/Llama-2-70b-hf": 68_976_648_192,
        "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    }
    assert published == {name: ARCHITECTURES[name].num_parameters for name in published}


def test_tied_embeddings_count_once() -> None:
    tied = replace(SMALL, tie_word_embeddings=True)
    assert tied.num_parameters == sum(p.numel() for p in build(tied).parameters())


def test_dimensions_are_read_from_a_config() -> None:
    config = {"model_type": "llama", **asdict(SMALL), "rope_theta": 1e6}
    assert Architecture.of(config) == SMALL
    del config["num_key_value_heads"], config["tie_word_embeddings"]
    assert Architecture.of(config) == replace(SMALL, num_key_value_heads=8)
    assert Architecture.of(config | {"model_type": "gpt2"}) is None


def examples() -> Batch:
    """Return four sequences of one length, packed as trainers pack them."""
    ids = [0] * LENGTH
    return pack([Example(ids, next_tokens(ids, [True] * LENGTH), [], [])] * 4)


def tensors_of_a_step(model: PreTrainedModel) -> Iterator[torch.Tensor]:
    """Yield parameters, gradients and moments after one step of AdamW."""
    optimizer = torch.optim.AdamW(model.parameters())
    logits_of(model, examples()).sum().backward()
    optimizer.step()
    for parameter in model.parameters():
        assert parameter.grad is not None
        yield from (parameter, parameter.grad)
        yield from (t for t in optimizer.state[parameter].values() if t.dim())


def test_states_are_what_a_step_of_adam_leaves() -> None:
    held = sum(tensor.nbytes for tensor in tensors_of_a_step(build(SMALL)))
    assert training_memory(SMALL, TrainingSettings()).states == held
    assert training_memory(SMALL, TrainingSettings(num_processes=8)).states == held
    assert training_memory(SMALL, SHARDED).states == held / 8


class Kernel(torch.autograd.Function):
    """Save what PyTorch's kernel for different lengths saves: its inputs, output and normaliser."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        attended = query.clone()
        ctx.save_for_backward(query, key, value, attended, query.new_empty(query.shape[:2]).float())
        return attended


def saved_bytes(architecture: Architecture, kind: str, *, checkpointing: bool) -> int:
    """Return the bytes that a forward pass of training on a GPU saves, but for parameters."""
    model = build(architecture, kind)
    assert fuse_layers(model)
    MasterWeights(model.parameters(), torch.device("cpu"), collects_early=True)
    if checkpointing:
        model.gradient_checkpointing_enable()
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits_of(model, examples())
    return sum(
        tensor.untyped_storage().nbytes()
        for address, tensor in saved.items()
        if address not in parameters
    )


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_activations_are_what_a_layer_saves(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "varlen_attn", lambda q, k, v, *_, **__: Kernel.apply(q, k, v))

    def attend(*args: Any, lengths: Any, starts: Any, scaling: float, **_: Any) -> Any:
        return packing.attend_in_one_kernel(*args[1:4], lengths, starts, scaling), None

    monkeypatch.setattr(fused_layers, "packed_attention", attend)
    one_layer = replace(SMALL, num_hidden_layers=1)

    def of_a_layer(checkpointing: bool) -> int:
        two, one = (saved_bytes(a, kind, checkpointing=checkpointing) for a in (SMALL, one_layer))
        return two - one

    tokens = 4 * LENGTH
    assert of_a_layer(False) == tokens * layer_bytes(SMALL)
    assert of_a_layer(True) == tokens * 2 * SMALL.hidden_size


def test_checkpointing_keeps_one_layer_at_a_time() -> None:
    whole = training_memory(LLAMA_70B, SHARDED)
    spared = training_memory(LLAMA_70B, SHARDED.model_copy(update={"gradient_checkpointing": True}))
    assert (whole.states, whole.working) == (spared.states, spared.working)
    layers, inputs = LLAMA_70B.num_hidden_layers, 2 * LLAMA_70B.hidden_size
    saved = whole.activations - spared.activations
    assert saved <= SHARDED.tokens_per_pass * layers * (layer_bytes(LLAMA_70B) - inputs)
    assert saved > 0


PEAKS = {
    "prm-1.1b-512": 28.05,
    "prm-1.1b-165": 27.56,
    "prm-1.1b-two-passes": 31.80,
    "prm-1.1b-checkpointed": 19.40,
    "prm-3.0b-512": 63.10,
    "prm-3.0b-165": 62.99,
    "prm-3.0b-checkpointed": 52.70,
    "prm-7b-width": 37.46,
    "prm-7b-width-checkpointed": 33.32,
}
"""GiB of tensors at the peak of training on one H100, by ``python -m benchmarks.gpu``."""


@pytest.mark.parametrize("name", TRAINING_ROWS)
def test_the_formula_is_within_a_tenth_of_the_peak_on_a_gpu(name: str) -> None:
    row = TRAINING_ROWS[name]
    needed = training_memory(ARCHITECTURES_OF_ROWS[row.model], row.settings, predicts_text=False)
    assert needed.tensors / GIB == pytest.approx(PEAKS[name], rel=0.1)


def test_late_gradients_do_not_add_to_the_activations_of_a_step_with_one_pass() -> None:
    one = training_memory(SMALL, TrainingSettings(batch_size=32, max_length=512))
    two = training_memory(SMALL, TrainingSettings(batch_size=64, max_length=512))
    gradients = 4 * SMALL.num_parameters
    assert one.activations == two.activations > gradients
    assert two.tensors - one.tensors == gradients


def test_a_reward_model_computes_logits_at_tags_only() -> None:
    wide = replace(SMALL, vocab_size=32_000)
    text, tags = (
        training_memory(wide, TrainingSettings(), predicts_text=predicts)
        for predicts in (True, False)
    )
    mlp = 2 * (4 * SMALL.intermediate_size + SMALL.hidden_size)
    assert text.activations - tags.activations == 16_384 * (16 * 32_000 - mlp)


def test_tensor_parallelism_cuts_matrices_and_caches() -> None:
    config = AutoConfig.for_model("llama", **asdict(SMALL))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    alone, two, four = (inference_memory(SMALL, gpus) for gpus in (1, 2, 4))
    assert alone.weights == sum(parameter.nbytes for parameter in model.parameters())
    norms = 2 * SMALL.norm_parameters
    assert two.weights - norms == (alone.weights - norms) / 2
    # Four GPUs and two key-value heads: each head lies on two of them.
    doubled = 2 * 2 * 2 * 128 * 32
    assert four.weights - norms == (alone.weights - norms + doubled) / 4
    cache = model(input_ids=torch.zeros((1, 3), dtype=torch.long)).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert 3 * alone.cache_per_token == held
    assert two.cache_per_token == four.cache_per_token == alone.cache_per_token / 2


def test_what_does_not_fit_holds_nothing() -> None:
    alone = inference_memory(LLAMA_70B, 1)
    assert alone.tokens_in(80 * GIB, 0.9) == 0
    assert not training_memory(LLAMA_70B, SHARDED).fits(80 * GIB)
    room = alone.fixed + 7.5 * alone.cache_per_token
    assert alone.tokens_in(room, 1.0) == 7


@pytest.mark.parametrize(
    ("gpus", "can"), [(1, True), (2, True), (4, True), (3, False), (16, False)]
)
def test_only_equal_parts_are_cut(gpus: int, can: bool) -> None:
    assert can_split(SMALL, gpus) == can
