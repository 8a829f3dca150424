"""Replace the weights of a model of transformers that draws in this process."""

from transformers import PreTrainedModel

from resources.engines.new_weights import Weights


def free_weights(model: PreTrainedModel) -> None:
    """Free the memory of a model's parameters until :func:`replace_weights`."""
    for parameter in model.parameters():
        parameter.data = parameter.data.new_empty(0)


def replace_weights(model: PreTrainedModel, weights: Weights) -> None:
    """Give a model copies of the weights, in its own precision and on its own device.

    Layers in 8-bit integers have no parameters: policies, which alone replace weights, refuse them.
    """
    tied = model.all_tied_weights_keys
    for name, parameter in model.named_parameters():
        weight = weights[tied.get(name, name)].detach()
        assert parameter.numel() in (0, weight.numel()), f"{name}: another shape"
        parameter.data = weight.to(parameter.device, parameter.dtype, copy=True)
