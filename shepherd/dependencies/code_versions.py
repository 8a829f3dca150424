"""Collect what an asset's rows depend on, and hash it into the asset's code version."""

import json

from shepherd.dependencies.paths import Json, values_at
from shepherd.dependencies.rules import paths_of
from shepherd.equivalence import GRADING_VERSION
from shepherd.identity import SEEDING, content_id
from shepherd.policies import descents_of
from shepherd.settings import RftSettings, Settings
from shepherd.splitting import SPLITTING_VERSION
from shepherd.splitting.sections import SECTIONS_VERSION

WRITTEN_WITH = {
    "solution_costs": "solutions",
    "rollout_costs": "rollouts",
    "pilot_costs": "pilot_rollouts",
    "asked_rollouts": "rollouts",
    "search_trees": "rollouts",
    "critique_costs": "critiques",
    "entailment_costs": "nli_labels",
    "candidate_costs": "candidates",
    "rejected_problems": "problems",
    "rejected_solutions": "solutions",
    "rejected_labels": "labeled_solutions",
}
"""Tables that the asset of another table writes: they depend on the same settings."""

GRADED_TABLES = ("solutions", "pilot_rollouts", "rollouts", "candidates", "greedy_solutions")


def dependencies_of(settings: Settings, asset: str) -> dict[str, Json]:
    """Return the settings that the rows of an asset depend on: values by dotted field.

    ``asset`` is the name of a table, of a generator or policy, ``completer``,
    ``outcome_reward_model``, ``process_reward_model``, ``exports`` or ``report``. Equal
    dependencies mean equal rows of equal inputs.
    """
    asset = WRITTEN_WITH.get(asset, asset)
    values: dict[str, Json] = {}
    for path in paths_of(settings, asset):
        values |= values_at(settings, path)
    if asset == "policy_evaluations":
        methods = {name: descent.method for name, descent in descents_of(settings).items()}
        values |= {f"generators.{name}.method": methods[name] for name in settings.generators}
    return dict(sorted(values.items()))


def code_version(settings: Settings, asset: str) -> str:
    """Return a hash of what an asset's rows depend on: 8 hexadecimal digits.

    Beside settings it holds a revision, which changes where code makes other rows of equal
    settings: other seeds, splits or grades, or ids of another form.
    """
    values = dependencies_of(settings, asset)
    revision = f"seeding {SEEDING}" if "seed" in values else ""
    if asset == "steps":
        revision = "solution_id:step_index"
    if asset == "candidate_scores":
        revision = "unscored steps are null"
    if asset == "evaluations":
        revision += " pass@N, gains over SC"
    if any(path.endswith(".splitting.method") for path in values):
        revision += f" splitting {SPLITTING_VERSION}"
    if any(path.endswith(".splitting.max_sections") for path in values):
        revision += f" sections {SECTIONS_VERSION}"
    if _is_graded(settings, asset):
        revision += f" grading {GRADING_VERSION}"
    return content_id(json.dumps(values, sort_keys=True), revision)[:8]


def holds_graded_texts(asset: str) -> bool:
    """Return whether an asset draws texts and grades their answers, or is written with one."""
    return WRITTEN_WITH.get(asset, asset) in GRADED_TABLES


def _is_graded(settings: Settings, asset: str) -> bool:
    """Return whether grades of answers decide the rows or weights of an asset."""
    return holds_graded_texts(asset) or isinstance(settings.policies.get(asset), RftSettings)
