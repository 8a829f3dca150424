"""Compute the passes of a small model side by side on a CPU: one pass a thread.

The products of a small model take microseconds, and threads that share one wait for each other
after each. Threads that compute a pass each wait for each other once a step.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import nn

from shepherd.memory import SMALL_BYTES

MOST_THREADS = 8
"""Passes side by side at most: between products, Python runs one of their threads at a time."""

Loss = Callable[[], torch.Tensor]
"""Computes the loss of a pass, a scalar."""

T = TypeVar("T")
R = TypeVar("R")


def num_threads(model: nn.Module, device: torch.device) -> int:
    """Return how many passes of a model to compute side by side: 1 where threads share a pass.

    Threads of a larger model share a pass: each thread would hold the gradients of its own.

    Dropout draws from one generator, in the order of the passes, so that its passes are not
    computed side by side.
    """
    size = sum(parameter.nbytes for parameter in model.parameters())
    if device.type != "cpu" or size > SMALL_BYTES or _has_dropout(model):
        return 1
    return min(torch.get_num_threads(), MOST_THREADS)


def _has_dropout(model: nn.Module) -> bool:
    attention = getattr(getattr(model, "config", None), "attention_dropout", 0.0)
    return bool(attention) or any(
        isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()
    )


class PassThreads:
    """Threads that compute a pass each, with one thread of torch."""

    def __init__(self, count: int) -> None:
        self.count = count
        # Of torch's threads, a number that a thread sets is its own.
        self._pool = ThreadPoolExecutor(
            count, "passes", initializer=torch.set_num_threads, initargs=(1,)
        )

    def map(self, function: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
        """Yield the results of a function in order; each thread computes one part at a time."""
        return self._pool.map(function, parts)

    def backward(
        self,
        parameters: Sequence[nn.Parameter],
        passes: Sequence[Sequence[Loss]],
    ) -> torch.Tensor:
        """Add the gradients of all losses to the parameters; return the sum of the losses.

        ``passes`` are functions that compute a loss, for each thread. Sums are in the order of the
        passes, so that they do not depend on which thread ends first.
        """

        def of_thread(losses: Sequence[Loss]) -> list[torch.Tensor | None]:
            total = torch.zeros(())
            sums: list[torch.Tensor | None] = [None] * len(parameters)
            for compute in losses:
                loss = compute()
                gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
                total += loss.detach()
                sums = [_sum(*pair) for pair in zip(sums, gradients, strict=True)]
            return [total, *sums]

        shares = list(self.map(of_thread, passes))
        totals = shares[0]
        for share in shares[1:]:
            totals = [_sum(*pair) for pair in zip(totals, share, strict=True)]
        loss, *gradients = totals
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = _sum(parameter.grad, gradient)
        assert loss is not None
        return loss


def _sum(first: torch.Tensor | None, second: torch.Tensor | None) -> torch.Tensor | None:
    """Return a sum; a missing gradient is 0."""
    if first is None or second is None:
        return first if second is None else second
    return first + second
