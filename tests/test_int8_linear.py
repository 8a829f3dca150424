"""Linear layers in 8-bit integers."""

from pathlib import Path

import pytest
import torch
from blocks import add, drain
from tiny_checkpoint import save_checkpoint
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from resources.engines import open_engine
from resources.engines.int8_linear import LIBRARY, Int8Linear, check_int8, use_int8
from resources.engines.transformers import TransformersEngine
from shepherd.requests import Request
from shepherd.settings import EngineSettings
from training.tokenizer import build_tokenizer

pytestmark = pytest.mark.skipif(
    LIBRARY not in torch.backends.quantized.supported_engines, reason="needs an x86 processor"
)


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_are_those_of_rounded_weights_and_inputs(bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 20, bias=bias)
    inputs = torch.randn(3, 5, 48) * torch.logspace(-3, 3, 5)[:, None]
    weight = linear.weight.detach()
    by_output = weight.abs().amax(1, keepdim=True) / 63
    by_token = inputs.abs().amax(-1, keepdim=True) / 127
    rounded = (weight / by_output).round() * by_output
    expected = ((inputs / by_token).round() * by_token).double() @ rounded.double().T
    if bias:
        expected = expected + linear.bias.detach()
    difference = (Int8Linear(linear)(inputs).double() - expected).abs().amax(-1)
    assert (difference < 1e-5 * expected.abs().amax(-1)).all()


def test_the_largest_sums_do_not_overflow() -> None:
    linear = nn.Linear(4096, 4, bias=False)
    nn.init.constant_(linear.weight, 2.0)
    sums = Int8Linear(linear)(torch.tensor([[1.0], [-1.0], [1e-30], [0.0]]).expand(4, 4096))
    expected = torch.tensor([8192.0, -8192.0, 8192e-30, 0.0])[:, None].expand(4, 4)
    assert torch.allclose(sums, expected, rtol=1e-5, atol=0)


def test_a_token_is_not_rounded_with_others() -> None:
    torch.manual_seed(0)
    layer = Int8Linear(nn.Linear(64, 32))
    inputs = torch.randn(40, 64)
    inputs[7] *= 1e4
    together = layer(inputs)
    for i in range(40):
        assert torch.equal(layer(inputs[i : i + 1])[0], together[i])


def test_completions_do_not_depend_on_their_company(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, "qwen2", build_tokenizer())
    requests = [
        Request(f"{p}/{k}", f"{p} + {p} = ", seed=8 * p + k, temperature=1.0, max_tokens=8)
        for p in range(6)
        for k in range(3)
    ]
    texts = []
    for batch_size in (2, 18):
        engine = open_engine(
            EngineSettings(dtype="int8", device="cpu", batch_size=batch_size), folder
        )
        assert isinstance(engine, TransformersEngine)
        assert all(type(m) is not nn.Linear for m in engine._model.modules())
        add(engine, requests)
        texts.append({i: c.text for i, c in drain(engine).items()})
        engine.close()
    assert texts[0] == texts[1]


def test_a_model_of_other_layers_is_refused() -> None:
    config = AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=2, vocab_size=16)
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ValueError, match=r"^m: .* does not know its layers: set engine\.dtype to"):
        use_int8(model, "m")


def test_other_devices_and_engines_are_refused() -> None:
    with pytest.raises(ValueError, match="x86 processors, not for a cuda device: "):
        check_int8(torch.device("cuda"))
    with pytest.raises(ValueError, match=r"int8 is for engine\.kind transformers"):
        EngineSettings(kind="vllm", dtype="int8")
