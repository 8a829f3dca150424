"""Replace the weights of a model of transformers that draws in this process."""

import torch
from transformers import PreTrainedModel

from resources.engines.int8_linear import Int8Linear
from resources.engines.new_weights import Weights


def free_weights(model: PreTrainedModel) -> None:
    """Free the memory of a model's parameters until :func:`replace_weights`.

    Layers in 8-bit integers keep theirs: they are on the CPU.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.new_empty(0)


def replace_weights(model: PreTrainedModel, weights: Weights) -> None:
    """Give a model copies of the weights, in its own precision and on its own device."""
    tied = model.all_tied_weights_keys

    def weight_of(name: str) -> torch.Tensor:
        return weights[tied.get(name, name)].detach()

    for name, parameter in model.named_parameters():
        weight = weight_of(name)
        assert parameter.numel() in (0, weight.numel()), f"{name}: another shape"
        parameter.data = weight.to(parameter.device, parameter.dtype, copy=True)
    for name, module in model.named_modules():
        if isinstance(module, Int8Linear):
            bias = weight_of(f"{name}.bias") if module.has_bias else None
            module.pack(weight_of(f"{name}.weight"), bias)
