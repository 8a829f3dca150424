"""The formula of memory against real tensors: of the published dimensions, and of a step."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from shepherd.architectures import ARCHITECTURES, Architecture
from shepherd.memory import (
    GIB,
    can_split,
    inference_memory,
    layer_bytes,
    training_memory,
)
from shepherd.settings import TrainingSettings
from training import packing
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


def saved_bytes(architecture: Architecture, kind: str, *, mixed: bool, checkpointing: bool) -> int:
    """Return the bytes that a forward pass of training saves, but for parameters."""
    model = build(architecture, kind)
    if checkpointing:
        model.gradient_checkpointing_enable()
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
    ):
        logits_of(model, examples())
    return sum(
        tensor.untyped_storage().nbytes()
        for address, tensor in saved.items()
        if address not in parameters
    )


@pytest.mark.parametrize("kind", ["llama", "mistral"])
@pytest.mark.parametrize("mixed", [False, True])
def test_activations_are_what_a_layer_saves(
    kind: str, mixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "ONE_BY_ONE", ())  # as on GPUs
    one_layer = replace(SMALL, num_hidden_layers=1)

    def of_a_layer(checkpointing: bool) -> int:
        two, one = (
            saved_bytes(a, kind, mixed=mixed, checkpointing=checkpointing)
            for a in (SMALL, one_layer)
        )
        return two - one

    copies = 2 * SMALL.layer_parameters if mixed else 0
    tokens = 4 * LENGTH
    assert of_a_layer(False) - copies == tokens * layer_bytes(SMALL, mixed=mixed)
    assert of_a_layer(True) == tokens * 4 * SMALL.hidden_size


def test_checkpointing_keeps_one_layer_at_a_time() -> None:
    whole = training_memory(LLAMA_70B, SHARDED)
    spared = training_memory(LLAMA_70B, SHARDED.model_copy(update={"gradient_checkpointing": True}))
    assert (whole.states, whole.working) == (spared.states, spared.working)
    layer, layers = layer_bytes(LLAMA_70B, mixed=True), LLAMA_70B.num_hidden_layers
    inputs = layers * 4 * LLAMA_70B.hidden_size
    saved = (layers - 1) * layer - inputs
    assert whole.activations - spared.activations == SHARDED.tokens_per_pass * saved > 0


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
