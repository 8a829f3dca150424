"""Compute the linear layers of a model in 8-bit integers, which on an x86 CPU is faster than
float32 for models of hundreds of millions of parameters (docs/lab.md, section 18)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LIBRARY = "fbgemm"
"""torch's library of integer products for x86 processors."""

LARGEST_WEIGHT = 63
"""Weights are integers from -63 to 63. Without special instructions a processor adds two products
in 16 bits, and two of an 8-bit input and a 7-bit weight are the most that fit
(2 x 255 x 63 < 2^15)."""

LARGEST_INPUT = 127
INPUT_ZERO = 128
"""Inputs are bytes from 1 to 255, and this one stands for 0."""


class Int8Linear(nn.Module):
    """A linear layer whose weights and inputs are rounded to integers.

    Weights have a scale for each output, and inputs one for each token: the vector-wise
    quantization of LLM.int8() (Dettmers et al., 2022, arXiv 2208.07339) without its 16-bit
    outliers, and with weights of 7 bits. A token's output depends on no other token. Sums are
    exact, and so are biases; the result is float32.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(1) / LARGEST_WEIGHT).clamp_min(torch.finfo(weight.dtype).tiny)
        zeros = torch.zeros(len(scale), dtype=torch.int64)
        with warnings.catch_warnings():
            # torch deprecates quantized tensors; its other 8-bit product, oneDNN's, is slower.
            warnings.filterwarnings("ignore", ".*quantized tensor creation.*", UserWarning)
            rounded = torch.quantize_per_channel(weight, scale.double(), zeros, 0, torch.qint8)
        with using_library():
            self._packed = torch.ops.quantized.linear_prepack(rounded, None)
        self._bias = None if linear.bias is None else linear.bias.detach().float()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (..., outputs), float32, of (..., inputs), float32."""
        # The operator has one scale for all inputs: with this division each token has its own.
        largest = inputs.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(inputs.dtype).tiny)
        outputs: torch.Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            inputs / largest, 1 / LARGEST_INPUT, INPUT_ZERO, self._packed
        )
        outputs *= largest
        return outputs if self._bias is None else outputs.add_(self._bias)


def check_int8(device: torch.device) -> None:
    """Check that this machine computes products of 8-bit integers.

    Raises:
        ValueError: the device is no CPU, or no x86 processor.
    """
    if device.type != "cpu" or LIBRARY not in torch.backends.quantized.supported_engines:
        place = f"a {device.type} device" if device.type != "cpu" else "this processor"
        raise ValueError(
            f"engine.dtype int8 is for x86 processors, not for {place}: set engine.dtype to "
            "bfloat16 or float32"
        )


@contextmanager
def using_library() -> Iterator[None]:
    """Let torch pack weights for :data:`LIBRARY`."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = LIBRARY
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def use_int8(model: "PreTrainedModel", name: Path | str) -> None:
    """Replace the linear layers of a float32 model on a CPU, that of the logits included.

    Embeddings stay as they are, also where the logits have the same weights.

    Raises:
        ValueError: its layers are of another type.
    """
    count = 0
    for parent in list(model.modules()):
        for child_name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, child_name, Int8Linear(child))
                count += 1
    if count <= 1:
        raise ValueError(
            f"{name}: engine.dtype int8 does not know its layers: set engine.dtype to float32"
        )
