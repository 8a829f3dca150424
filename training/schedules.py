"""Compute learning rates from the position in a run."""

import math


def cosine(progress: float, peak: float, floor: float) -> float:
    """Return the rate at ``progress`` (0 to 1) of a cosine from ``peak`` down to ``floor``.

    SGDR without restarts (arXiv 1608.03983, equation 5).
    """
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def warm_up_then_cosine(
    step: int, num_steps: int, *, warmup_share: float, floor_share: float
) -> float:
    """Return the share of the peak rate (0 to 1) at a step of fine-tuning.

    The share rises linearly over ``warmup_share`` of the steps, at least one, and then falls as a
    cosine to ``floor_share``.
    """
    num_warmup = max(1, round(warmup_share * num_steps))
    if step < num_warmup:
        return (step + 1) / num_warmup
    return cosine((step - num_warmup) / max(1, num_steps - num_warmup), 1.0, floor_share)


def wait_then_cosine(
    iteration: int, num_iterations: int, *, peak: float, floor: float, wait_share: float
) -> float:
    """Return the rate at an iteration of PPO or GRPO.

    The rate is 0 for ``wait_share`` of the iterations, in which the value network learns alone,
    and then falls as a cosine from ``peak`` to ``floor``.
    """
    num_waiting = round(wait_share * num_iterations)
    if iteration < num_waiting:
        return 0.0
    return cosine((iteration - num_waiting) / (num_iterations - num_waiting), peak, floor)


def warm_up_then_linear(step: int, num_steps: int, *, peak: float, num_warmup: int) -> float:
    """Return the rate at a step of pretraining.

    The rate rises linearly over ``num_warmup`` steps, and falls linearly to 0 over the second
    half of the run.
    """
    rise = min(1.0, (step + 1) / num_warmup)
    return peak * rise * min(1.0, 2.0 * (1 - step / num_steps))
