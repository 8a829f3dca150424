"""Read the training curves of a home's models from their TensorBoard files."""

from collections.abc import Mapping
from pathlib import Path

from resources.report.problems import Json

METRICS = {
    "train/loss": "training loss",
    "validation/loss": "validation loss",
    "reward": "mean reward of PPO or GRPO",
    "held_out_accuracy": "held-out accuracy of PPO or GRPO",
    "kl": "KL divergence from the start of PPO or GRPO",
}
"""The curves that the page shows, with their names."""

CURVES = "runs"
"""The folder of a model with its TensorBoard files."""

MAX_POINTS = 200
"""Points of a curve that the page shows."""


def training_curves(folders: Mapping[str, Path]) -> list[Json]:
    """Return ``{"model", "metric", "points"}`` of each curve; a point is [step, value].

    ``folders`` are those with the TensorBoard files of each model.
    """
    return [curve for name, folder in sorted(folders.items()) for curve in _curves(name, folder)]


def _curves(name: str, folder: Path) -> list[Json]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    curves = []
    for tag in sorted(set(events.Tags()["scalars"]) & METRICS.keys()):
        scalars = events.Scalars(tag)
        every = -(-len(scalars) // MAX_POINTS)
        points = [[one.step, round(one.value, 6)] for one in scalars[::-1][::every][::-1]]
        curves.append({"model": name, "metric": METRICS[tag], "points": points})
    return curves
