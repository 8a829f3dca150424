"""Fused layers and master weights compute what transformers and float32 compute."""

import gc
import weakref
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.test_packing import examples
from tests.tiny_checkpoint import save_checkpoint
from training.checkpoints import Checkpoints
from training.fused_layers import fuse_layers
from training.master_weights import MasterWeights
from training.model_files import join_processes
from training.packing import IGNORED, PACKED, logits_of, pack
from training.tokenizer import build_tokenizer


def load(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=PACKED
    ).train()


def loss_and_gradients(model: PreTrainedModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    batch = pack(examples(count=5, longest=30))
    loss = torch.nn.functional.cross_entropy(
        logits_of(model, batch), batch.targets, ignore_index=IGNORED
    )
    loss.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
def test_a_fused_model_has_the_gradients_of_transformers(
    kind: str, checkpointing: bool, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path, kind, build_tokenizer())
    models = load(tmp_path), load(tmp_path)
    assert fuse_layers(models[1])
    for model in models if checkpointing else ():
        model.gradient_checkpointing_enable({"use_reentrant": False})
    (expected_loss, expected), (loss, gradients) = map(loss_and_gradients, models)
    torch.testing.assert_close(loss, expected_loss)
    assert gradients.keys() == expected.keys() == dict(models[0].named_parameters()).keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("llama", {"hidden_act": "gelu"}), ("llama", {"mlp_bias": True}), ("qwen3", {})],
)
def test_other_designs_keep_their_layers(
    kind: str, fields: dict[str, object], tmp_path: Path
) -> None:
    save_checkpoint(tmp_path, kind, build_tokenizer(), **fields)
    model = load(tmp_path)
    layer = model.model.layers[0]
    before = layer.forward
    assert not fuse_layers(model)
    assert layer.forward == before


@pytest.mark.parametrize("collects_early", [False, True])
def test_masters_learn_what_bfloat16_would_lose(collects_early: bool) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    exact = torch.nn.Linear(4, 3)
    exact.load_state_dict(model.state_dict())
    masters = MasterWeights(model.parameters(), torch.device("cpu"), collects_early=collects_early)
    assert model.weight.dtype == torch.bfloat16
    optimizers = [
        torch.optim.SGD(weights, lr=1e-5) for weights in (masters.masters, exact.parameters())
    ]
    for _ in range(100):
        for _pass in range(2):  # gradients of passes add up
            model(torch.ones(1, 4, dtype=torch.bfloat16)).sum().backward()
            assert (model.weight.grad is None) == collects_early
            masters.collect_gradients()
            exact(torch.ones(1, 4)).sum().backward()
        assert model.weight.grad is None
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        masters.round_weights()
    torch.testing.assert_close(masters.masters[0], exact.weight)
    assert model.weight.equal(exact.weight.bfloat16())


def test_masters_are_restored_from_a_checkpoint() -> None:
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    saved, restored = (
        MasterWeights(model.parameters(), torch.device("cpu"), collects_early=False)
        for model in (first, second)
    )
    restored.load_state_dict(saved.state_dict())
    assert all(a.equal(b) for a, b in zip(saved.masters, restored.masters, strict=True))
    assert first.weight.equal(second.weight)


def test_a_fused_model_is_freed_at_once(tmp_path: Path) -> None:
    """Without a cycle, whose memory on a GPU only the garbage collector would free."""
    save_checkpoint(tmp_path, "llama", build_tokenizer())
    model = load(tmp_path)
    assert fuse_layers(model)
    masters = MasterWeights(model.parameters(), torch.device("cpu"), collects_early=True)
    weight = weakref.ref(model.model.layers[0].mlp.down_proj.weight)
    gc.disable()
    try:
        del model, masters
        assert weight() is None
    finally:
        gc.enable()


def test_a_checkpoint_holds_the_masters(tmp_path: Path) -> None:
    def prepare() -> tuple[Accelerator, torch.nn.Module, MasterWeights, torch.optim.Optimizer]:
        torch.manual_seed(0)
        accelerator, model = join_processes(), torch.nn.Linear(4, 3)
        masters = MasterWeights(model.parameters(), accelerator.device, collects_early=True)
        accelerator.register_for_checkpointing(masters)
        return accelerator, model, masters, torch.optim.AdamW(masters.masters, lr=1e-4)

    accelerator, model, masters, optimizer = prepare()
    model, optimizer = accelerator.prepare(model, optimizer)
    for _ in range(3):
        model(torch.ones(1, 4, dtype=torch.bfloat16)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        masters.round_weights()
    Checkpoints(tmp_path / "saved", "run").save(
        accelerator, {"first_step": 3, "losses": [], "evaluations": []}
    )
    later, restored_model, restored, other_optimizer = prepare()
    later.prepare(restored_model, other_optimizer)
    progress = Checkpoints(tmp_path / "saved", "run").restore(later)
    assert progress is not None
    assert progress["first_step"] == 3
    assert all(a.equal(b) for a, b in zip(masters.masters, restored.masters, strict=True))
    assert restored_model.weight.equal(masters.masters[0].bfloat16())
    assert not masters.masters[0].bfloat16().float().equal(masters.masters[0])
