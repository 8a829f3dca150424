"""Read the training curves of a home's models from their TensorBoard files."""

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

MAX_POINTS = 200
"""Points of a curve that the page shows."""


def training_curves(models: Path) -> list[Json]:
    """Return ``{"model", "metric", "points"}`` of each curve; a point is [step, value]."""
    # TensorBoard takes a second to import, and most homes have models.
    folders = sorted(path for path in models.glob("[!.]*") if (path / "runs").is_dir())
    return [curve for folder in folders for curve in _curves(folder)]


def _curves(folder: Path) -> list[Json]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "runs"), size_guidance={"scalars": 0})
    events.Reload()
    curves = []
    for tag in sorted(set(events.Tags()["scalars"]) & METRICS.keys()):
        scalars = events.Scalars(tag)
        every = -(-len(scalars) // MAX_POINTS)
        points = [[one.step, round(one.value, 6)] for one in scalars[::-1][::every][::-1]]
        curves.append({"model": folder.name, "metric": METRICS[tag], "points": points})
    return curves
