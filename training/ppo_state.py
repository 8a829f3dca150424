"""What a killed PPO run goes on from: weights, optimiser and metrics after the last iteration."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

Row = dict[str, float]


def save_state(
    folder: Path,
    fingerprint: str,
    rows: list[Row],
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Replace the state in one move, so that a kill leaves the old one or the new one.

    ``rows`` has one row for each iteration done. Random numbers need no state: those of an
    iteration derive from the run's seed and its number.
    """
    tensors = dict(_named(modules))
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": moment for name, moment in moments.items()}
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / ".state.safetensors.new"
    header = {"fingerprint": fingerprint, "rows": json.dumps(rows)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside, header)
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(folder / "state.safetensors")
    write_metrics(folder, rows)


def write_metrics(folder: Path, rows: list[Row]) -> None:
    """Write ``metrics.jsonl``: one line for each iteration done."""
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def load_state(
    folder: Path,
    fingerprint: str,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> list[Row]:
    """Bring modules and optimiser to the kept state; return the rows of the iterations done.

    Nothing changes and no row is returned if there is no state of this fingerprint; one of
    another is told of, and replaced by the next that is saved.
    """
    path = folder / "state.safetensors"
    if not path.is_file():
        return []
    with safe_open(path, "pt") as file:
        header = file.metadata()
        if header["fingerprint"] != fingerprint:
            print(f"PPO: {path} is of other settings, problems or weights: starts anew")
            return []
        with torch.no_grad():
            for name, parameter in _named(modules):
                parameter.copy_(file.get_tensor(name))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name in file.keys():  # noqa: SIM118 - a safetensors file, not a mapping
            if name.startswith("optimizer."):
                _, index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = file.get_tensor(name)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    rows: list[Row] = json.loads(header["rows"])
    return rows


def _named(modules: Mapping[str, nn.Module]) -> list[tuple[str, torch.Tensor]]:
    return [
        (f"{name}.{key}", parameter.data)
        for name, module in modules.items()
        for key, parameter in module.named_parameters()
    ]
