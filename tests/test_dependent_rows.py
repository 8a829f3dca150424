"""Rows under two values of a setting differ exactly where the code version says that they may."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from small_lake import small_lake

from resources.files.problems import load_problems_of
from resources.profiles import PROFILES
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.solutions import draw_candidates, draw_greedily, draw_solutions
from resources.sampling.stage import CompletionModel, Shard, completion_model_of
from shepherd.dependencies import code_version
from shepherd.rollouts import split_solutions
from shepherd.settings import Settings
from shepherd.training_sets import process_examples
from shepherd.verification import evaluate

LAKE = small_lake(num_train=2, num_test=12)
PROBLEMS = LAKE["problems"].head(4)
TABLE = Path(__file__).parent / "snapshots" / "settings.txt"

Rows = Callable[[Settings, Path, Path], pl.DataFrame]
"""Makes rows from settings, a checkpoint and an empty folder."""


def model_and_shard(
    settings: Settings, checkpoint: Path, folder: Path
) -> tuple[CompletionModel, Shard]:
    splitting = settings.datasets["word_problems"].splitting
    generator = settings.generators["generator"]
    model = completion_model_of("generator", generator, checkpoint, settings.engine)
    return model, Shard("word_problems", "00", folder, settings.seed, splitting)


def solutions(settings: Settings, checkpoint: Path, folder: Path) -> pl.DataFrame:
    model, shard = model_and_shard(settings, checkpoint, folder)
    return draw_solutions(PROBLEMS, model, settings.sampling, shard).frame


def candidates(settings: Settings, checkpoint: Path, folder: Path) -> pl.DataFrame:
    model, shard = model_and_shard(settings, checkpoint, folder)
    return draw_candidates(PROBLEMS, model, settings.sampling, shard).frame


def greedy_solutions(settings: Settings, checkpoint: Path, folder: Path) -> pl.DataFrame:
    model, shard = model_and_shard(settings, checkpoint, folder)
    return draw_greedily(PROBLEMS, model, settings.sampling, shard).frame


def rollouts(settings: Settings, checkpoint: Path, folder: Path) -> pl.DataFrame:
    model, shard = model_and_shard(settings, checkpoint, folder)
    written = WrittenSolutions(PROBLEMS, LAKE["solutions"], LAKE["steps"])
    annotators = settings.annotation.annotators_that_roll_out(shard.splitting.method)
    return draw_rollouts(rollout_stage(model, settings.sampling, shard), written, annotators).frame


def steps(settings: Settings, _checkpoint: Path, _folder: Path) -> pl.DataFrame:
    texts = LAKE["solutions"].with_columns(text=pl.lit("It is 1. So it is 2.\n\nStep 2: 3."))
    return split_solutions(texts, settings.datasets["word_problems"].splitting.method)


def problems(settings: Settings, _checkpoint: Path, _folder: Path) -> pl.DataFrame:
    return load_problems_of(settings, "word_problems")[0]


def process_reward_model(settings: Settings, _checkpoint: Path, _folder: Path) -> pl.DataFrame:
    """The examples that the model is trained on."""
    labeled = LAKE["labeled_solutions"]
    rule = labeled.with_columns(annotator=pl.lit("rule"), solution_id=pl.lit("r"))
    return process_examples(
        pl.concat([labeled, rule]).lazy(),
        settings.training_set,
        settings.training_annotators,
        "train",
        settings.seed,
    ).collect()


def evaluations(settings: Settings, _checkpoint: Path, _folder: Path) -> pl.DataFrame:
    return evaluate(
        LAKE["candidates"],
        LAKE["candidate_scores"],
        LAKE["problems"],
        counts=[1, 2, 4, 8],
        groups=settings.verification.groups,
        aggregation=settings.verification.aggregation,
        bootstrap=settings.verification.bootstrap,
        seed=settings.seed,
    )


def settings_with(**fields: Any) -> Settings:
    """Return the tiny profile with other values of some fields, by dotted path."""
    profile = yaml.safe_load((PROFILES / "tiny.yaml").read_text())
    few = {"samples_per_problem": 4, "num_candidates": 4, "max_tokens": 24}
    profile["sampling"] = profile.get("sampling", {}) | few
    profile["engine"] = {"dtype": "float32", "device": "cpu", "batch_size": 64}
    kind = {"kind": "monte_carlo", "num_rollouts": 8}
    profile["annotation"] = {"annotators": [kind, "rule"], "train_on": "monte_carlo"}
    for path, value in fields.items():
        *parents, name = path.split(".")
        section = profile
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = value
    return Settings.model_validate(profile)


RULES = ["rule", {"kind": "monte_carlo", "num_rollouts": 9}]
FIELDS: list[tuple[str, str, object, list[Rows]]] = [
    ("engine.dtype", "engine.dtype", "bfloat16", [solutions, candidates, rollouts]),
    ("seed", "seed", 1, [problems, solutions, rollouts, evaluations]),
    ("sampling.temperature", "sampling.temperature", 0.2, [solutions, candidates]),
    ("sampling.rollout_temperature", "sampling.rollout_temperature", 0.2, [rollouts]),
    (
        "sampling.max_tokens",
        "sampling.max_tokens",
        12,
        [solutions, candidates, rollouts, greedy_solutions],
    ),
    ("sampling.samples_per_problem", "sampling.samples_per_problem", 5, [solutions]),
    ("sampling.num_candidates", "sampling.num_candidates", 5, [candidates]),
    (
        "annotation.annotators.*[monte_carlo].num_rollouts",
        "annotation.annotators",
        RULES,
        [rollouts],
    ),
    (
        "datasets.*.splitting.method",
        "datasets.word_problems.splitting.method",
        "sentence",
        [steps],
    ),
    ("datasets.*.num_train", "datasets.word_problems.num_train", 3, [problems]),
    ("annotation.train_on", "annotation.train_on", "rule", [process_reward_model]),
    ("training_set.labels", "training_set.labels", "soft", [process_reward_model]),
    ("verification.aggregation", "verification.aggregation", "last", [evaluations]),
]


@pytest.mark.parametrize(
    ("field", "path", "value", "assets"), FIELDS, ids=[field for field, *_ in FIELDS]
)
def test_rows_differ_under_another_value(
    tmp_path: Path, base: Path, field: str, path: str, value: object, assets: list[Rows]
) -> None:
    lines = (line.split(": ") for line in TABLE.read_text().splitlines())
    reviewed = {name: names.split() for name, names in lines}
    before, after = settings_with(), settings_with(**{path: value})
    for rows in assets:
        name = rows.__name__
        one, other = (
            rows(settings, base, tmp_path / f"{name} {number}")
            for number, settings in enumerate((before, after))
        )
        assert not one.equals(other), name
        assert name in reviewed[field]
        assert code_version(before, name) != code_version(after, name)


@pytest.mark.parametrize("path", ["engine.batch_size", "engine.device"])
def test_fields_of_speed_change_neither_rows_nor_versions(
    tmp_path: Path, base: Path, path: str
) -> None:
    value = {"engine.batch_size": 3, "engine.device": "cpu:0"}[path]
    before, after = settings_with(), settings_with(**{path: value})
    for rows in (solutions, rollouts):
        name = rows.__name__
        one = rows(before, base, tmp_path / f"{name} one")
        assert rows(after, base, tmp_path / f"{name} other").equals(one)
        assert code_version(before, name) == code_version(after, name)


def test_greedy_solutions_read_no_seed(tmp_path: Path, base: Path) -> None:
    before, after = settings_with(), settings_with(seed=1)
    one = greedy_solutions(before, base, tmp_path / "one")
    assert greedy_solutions(after, base, tmp_path / "other").equals(one)
    assert code_version(before, "greedy_solutions") == code_version(after, "greedy_solutions")
