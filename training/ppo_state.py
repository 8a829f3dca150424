"""Save and load the state of PPO or GRPO after an iteration, so that a killed run resumes."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from resources.storage.atomic import replacing_file

IterationMetrics = dict[str, float]
"""What one iteration of PPO or GRPO measured, by name."""


def save_state(
    folder: Path,
    fingerprint: str,
    history: list[IterationMetrics],
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Replace the saved state by one rename, so that a kill leaves the old state or the new one.

    ``history`` has the metrics of each complete iteration. Random states are not saved: the seeds
    of an iteration derive from the run's seed and the iteration's number.
    """
    tensors = dict(_named_parameters(modules))
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": moment for name, moment in moments.items()}
    header = {"fingerprint": fingerprint, "rows": json.dumps(history)}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with replacing_file(folder / "state.safetensors") as file:
        save_file(contiguous, file.name, header)
    write_metrics(folder, history)


def write_metrics(folder: Path, history: list[IterationMetrics]) -> None:
    """Write ``metrics.jsonl``: one line for each complete iteration."""
    with replacing_file(folder / "metrics.jsonl") as file:
        file.write("".join(json.dumps(row) + "\n" for row in history).encode())


def load_state(
    folder: Path,
    fingerprint: str,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> list[IterationMetrics]:
    """Load the saved state into modules and optimizer.

    Nothing changes if there is no saved state, or one with another fingerprint. The latter is
    reported in one line, and the next state that is saved replaces it.

    Returns:
        The metrics of each complete iteration.
    """
    path = folder / "state.safetensors"
    if not path.is_file():
        return []
    with safe_open(path, "pt") as file:
        header = file.metadata()
        if header["fingerprint"] != fingerprint:
            print(f"{path} is of other settings, problems or weights: starts anew")
            return []
        with torch.no_grad():
            for name, parameter in _named_parameters(modules):
                parameter.copy_(file.get_tensor(name))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name in file.keys():  # noqa: SIM118 - a safetensors file, not a mapping
            if name.startswith("optimizer."):
                _, index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = file.get_tensor(name)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    history: list[IterationMetrics] = json.loads(header["rows"])
    return history


def _named_parameters(modules: Mapping[str, nn.Module]) -> list[tuple[str, torch.Tensor]]:
    return [
        (f"{name}.{key}", parameter.data)
        for name, module in modules.items()
        for key, parameter in module.named_parameters()
    ]
