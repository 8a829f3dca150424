"""Greedy solutions of more test problems than the profile ``study`` has candidates of."""

from pathlib import Path

import polars as pl

from resources.files.problems import load_problems
from resources.profiles import load_settings
from resources.sampling.solutions import draw_greedily
from resources.sampling.stage import Shard, completion_model_of
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from shepherd.schemas import GREEDY_SOLUTIONS, PROBLEMS
from shepherd.settings import ModelSettings, Settings

DATASET = "word_problems"
"""The dataset of the profile whose test problems are solved."""


def study_models(settings: Settings) -> dict[str, ModelSettings]:
    """Return the settings of each generator and policy, by name; a policy has its start's."""
    starts = {name: policy.start for name, policy in settings.policies.items()}
    return settings.generators | {
        name: settings.generators[start] for name, start in starts.items()
    }


def more_problems(settings: Settings, lake: Lake, num_problems: int) -> pl.DataFrame:
    """Return test problems beside those of the home, so that there are ``num_problems`` in all.

    Their questions are no question of the home, be it for training or for tests.
    """
    known = lake.read(PROBLEMS)
    missing = num_problems - known.filter(split="test").height
    if missing <= 0:
        return known.clear()
    # Some questions are drawn twice.
    larger = settings.datasets[DATASET].model_copy(update={"num_test": 2 * num_problems})
    problems, _ = load_problems(DATASET, larger, settings.seed)
    tests = problems.filter(split="test").unique("question", keep="first", maintain_order=True)
    return tests.join(known, on="question", how="anti", maintain_order="left").head(missing)


def more_greedy(name: str, num_problems: int, home: Path, profile: Path) -> pl.DataFrame:
    """Return ``greedy_solutions`` of one generator or policy to :func:`more_problems`.

    A journal keeps what is drawn.
    """
    settings, store = load_settings(str(profile)), Home(home)
    problems = more_problems(settings, Lake(store.lake), num_problems)
    if problems.is_empty():
        return GREEDY_SOLUTIONS.empty()
    model = study_models(settings)[name]
    checkpoint = ModelStore(store.models, store.files).path(name)
    sampler = completion_model_of(name, model, checkpoint, settings.engine)
    folder = home / "study" / f"greedy-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    shard = Shard(DATASET, "more", folder, settings.seed)
    return draw_greedily(problems, sampler, settings.sampling, shard).frame
