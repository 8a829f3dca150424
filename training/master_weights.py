"""Train a model that computes in bfloat16, with weights and gradients that add up in float32.

An update is often smaller than half the distance between two bfloat16 numbers, and would be lost
in them (arXiv 1710.03740). So the optimizer changes float32 masters, and after each step every
weight of the model is its master, rounded. The model is rounded once a step, where autocast rounds
it in every pass.
"""

from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import nn


class MasterWeights:
    """The float32 masters of a model's parameters.

    Creating it rounds the model's parameters to bfloat16, in place. Buffers keep their type:
    angles of rotary positions would lose theirs.

    Args:
        parameters: the model's, in float32, each once.
        device: where the masters are held.
        collects_early: add each gradient as soon as the backward pass has computed it, which
            spares the memory of all gradients in bfloat16. Processes that exchange gradients
            cannot: they exchange them first.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        device: torch.device,
        *,
        collects_early: bool,
    ) -> None:
        self._working: list[torch.Tensor] = list(parameters)
        self.masters: list[torch.Tensor] = [
            nn.Parameter(parameter.detach().to(device, torch.float32, copy=True))
            for parameter in self._working
        ]
        for parameter in self._working:
            parameter.data = parameter.data.to(device, torch.bfloat16)
        for master, parameter in zip(self.masters, self._working, strict=True):
            if collects_early:
                hook = partial(_collect, master)
                parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def collect_gradients(self) -> None:
        """Add the gradients of a backward pass to those of the masters, and free them."""
        for master, working in zip(self.masters, self._working, strict=True):
            _collect(master, working)

    @torch.no_grad()
    def round_weights(self) -> None:
        """Set every weight of the model to its master, rounded."""
        torch._foreach_copy_(self._working, self.masters)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the masters, for a checkpoint."""
        return {str(index): master.detach() for index, master in enumerate(self.masters)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the masters of a checkpoint, and the model's weights from them."""
        with torch.no_grad():
            for index, master in enumerate(self.masters):
                master.copy_(state[str(index)])
        self.round_weights()


def _collect(master: torch.Tensor, working: torch.Tensor) -> None:
    """Move the gradient of a weight to its master, if there is one."""
    if working.grad is None:
        return
    if master.grad is None:
        master.grad = working.grad.float()
    else:
        master.grad += working.grad
    working.grad = None
