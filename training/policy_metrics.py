"""Write what the iterations of PPO or GRPO measured."""

import json
from collections.abc import Sequence
from pathlib import Path

from resources.storage.atomic import replacing_file

IterationMetrics = dict[str, float]
"""What one iteration of PPO or GRPO measured, by name."""


def write_metrics(folder: Path, history: Sequence[IterationMetrics]) -> None:
    """Write ``metrics.jsonl``: one line for each complete iteration."""
    with replacing_file(folder / "metrics.jsonl") as file:
        file.write("".join(json.dumps(row) + "\n" for row in history).encode())
