"""Describe the run of a report: date, seed, commit, models and numbers of draws."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from resources.report.curves import CURVES, training_curves
from resources.report.problems import Json, Methods
from resources.storage.home import Home
from shepherd.settings import ModelSettings, Settings

UNKNOWN = "-"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """What a report needs to know of the run that made its data, beside the warehouse."""

    profile: str
    facts: Sequence[tuple[str, str]] = ()
    """Names and values for the title, in order."""
    methods: Methods = field(default_factory=dict)
    curves: Sequence[Json] = ()
    """The training curves of the models, see :func:`training_curves`."""


def described_run(profile: str, settings: Settings, home: Home) -> Run:
    """Return what the report of a home says of its run."""
    return Run(
        profile,
        run_facts(settings, home.files.written(home.warehouse)),
        {name: dataset.splitting.rule for name, dataset in settings.datasets.items()},
        training_curves(home.files.parts_of_models(home.models, CURVES)),
    )


def run_facts(settings: Settings, built: datetime | None) -> list[tuple[str, str]]:
    """Return the facts of the title: the date is that on which the warehouse was built, in UTC."""
    date = UNKNOWN if built is None else built.strftime("%Y-%m-%d")
    sampling, rollouts = settings.sampling, settings.annotation.max_rollouts
    draws = {
        "solutions a train problem": sampling.samples_per_problem,
        "rollouts a prefix": rollouts or None,
        "candidates a test problem": sampling.num_candidates if settings.verifies else None,
    }
    sampled = any(dataset.is_annotated for dataset in settings.datasets.values())
    numbers = ", ".join(f"{number} {name}" for name, number in draws.items() if number)
    return [
        ("date", date),
        ("seed", str(settings.seed)),
        ("commit", commit_of(ROOT)),
        ("models", _models(settings) or UNKNOWN),
        ("N", numbers if sampled and numbers else UNKNOWN),
    ]


def _models(settings: Settings) -> str:
    models: Mapping[str, ModelSettings | None] = {
        **settings.generators,
        "completer": settings.completer,
        "ORM": settings.outcome_reward_model,
        "PRM": settings.process_reward_model,
    }
    return ", ".join(
        f"{name} {Path(model.base).name}{'' if model.training is None else ' (fine-tuned)'}"
        for name, model in models.items()
        if model is not None
    )


def commit_of(root: Path) -> str:
    """Return the commit of the pipeline's code, with + if files differ from it; "-" if unknown."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude", "*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return described.stdout.strip()
