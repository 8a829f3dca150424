"""Reuse the draws of the lake, so that a stage that is made again draws only what is missing.

Another annotator, another N, a new problem in a shard, or a new version of the grader leave most
draws as they are. The footer of a sampled partition's file holds the fingerprint of each model's
draws (:mod:`shepherd.dependencies`) and whether calculations were stripped from the texts. Draws
of an equal fingerprint are those that would be drawn again; their answers are graded anew. A stage
writes only the draws that are asked for now.
"""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from resources.storage.lake import Lake
from shepherd.dependencies import Fingerprint
from shepherd.rollouts import completions_of, single_draws
from shepherd.schemas import (
    CANDIDATE_COSTS,
    GREEDY_SOLUTIONS,
    ROLLOUT_COSTS,
    SOLUTION_COSTS,
    SOLUTIONS,
)
from shepherd.thoughts import opening_of

if TYPE_CHECKING:
    from resources.sampling.stage import Stage

FINGERPRINTS = "fingerprints"
"""The field of the footer with the fingerprints by model, as JSON."""

CALCULATIONS = "calculations"
"""The field of the footer with ``keep`` or ``strip`` (``splitting.calculations``)."""

_log = logging.getLogger(__name__)


def origin_of(fingerprints: Mapping[str, Fingerprint], calculations: str) -> dict[str, str]:
    """Return the footer of a file of draws, by field; none where nothing was drawn."""
    if not fingerprints:
        return {}
    return {FINGERPRINTS: json.dumps(fingerprints, sort_keys=True), CALCULATIONS: calculations}


def earlier_rollouts(lake: Lake, stage: "Stage") -> pl.DataFrame:
    """Return the rollouts of a stage's partition as ``COMPLETIONS``: none if they are no use."""
    rows, costs = _earlier_rows(lake, stage, "completer")
    ids = pl.format("{}:{}", "prefix_id", "rollout_index")
    return completions_of(rows.with_columns(request_id=ids), costs)


def earlier_solutions(lake: Lake, stage: "Stage", requests: pl.DataFrame) -> pl.DataFrame:
    """Return the solutions of a stage's partition as ``COMPLETIONS``: none if they are no use.

    The stage is one of solutions, candidates or greedy solutions; ``requests`` are those of
    :func:`shepherd.rollouts.solution_requests`.
    """
    rows, costs = _earlier_rows(lake, stage, "generator")
    if stage.table is SOLUTIONS:
        rows = single_draws(rows, requests)
    elif stage.table is GREEDY_SOLUTIONS:
        rows = rows.with_columns(draw=0)
    ids = pl.format("{}:{}", "problem_id", "draw")
    # The tag of a thought that the template opens is not drawn.
    drawn = pl.col("text").str.strip_prefix(opening_of(stage.model.template))
    return completions_of(rows.with_columns(request_id=ids, text=drawn), costs)


_COSTS = {"solutions": SOLUTION_COSTS, "rollouts": ROLLOUT_COSTS, "candidates": CANDIDATE_COSTS}
"""The table with the costs of a table's draws; those of greedy solutions are not recorded."""


def _earlier_rows(
    lake: Lake, stage: "Stage", model_column: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what a stage's model has drawn in its partition, and its costs.

    There are no rows if the partition was never written, is damaged or has another fingerprint, or
    if calculations were stripped that are to be kept now.
    """
    table, model = stage.table, stage.model.name
    costs = ROLLOUT_COSTS.empty()
    partition = stage.shard.dataset, stage.shard.key
    calculations = stage.shard.splitting.calculations
    origin = lake.metadata(table, *partition)
    fingerprints = json.loads(origin.get(FINGERPRINTS, "{}"))
    # Texts that were kept whole can be stripped now.
    is_usable = origin.get(CALCULATIONS) in ("keep", calculations)
    if fingerprints.get(model) != stage.fingerprint or not is_usable:
        return table.empty(), costs
    try:
        rows = lake.read(table, *partition)
        if table.name in _COSTS:
            costs = lake.read(_COSTS[table.name], *partition)
    except ValueError as error:
        _log.warning("%s: the %s are drawn again", error, table.name.replace("_", " "))
        return table.empty(), ROLLOUT_COSTS.empty()
    return rows.filter(pl.col(model_column) == model), costs.filter(model=model)
