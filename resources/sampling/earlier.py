"""Reuse the rollouts of the lake, so that another annotator or N draws only what is missing.

The footer of a sampled partition's file holds the fingerprint of each model's draws
(:mod:`shepherd.dependencies`) and whether calculations were stripped from the texts. Rollouts of
an equal fingerprint are those that would be drawn again. A stage writes only the rollouts that
its annotators ask for: the lake holds those that labels were counted from, and no more.
"""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from resources.storage.lake import Lake
from shepherd.dependencies import Fingerprint
from shepherd.requests import COMPLETIONS
from shepherd.rollouts import completions_of
from shepherd.schemas import ROLLOUT_COSTS, ROLLOUTS

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
    """Return the rollouts of a stage's partition as ``COMPLETIONS``.

    There are none if the partition was never written or has another fingerprint, or if
    calculations were stripped that are to be kept now.
    """
    partition = stage.shard.dataset, stage.shard.key
    calculations = stage.shard.splitting.calculations
    origin = lake.metadata(ROLLOUTS, *partition)
    fingerprints = json.loads(origin.get(FINGERPRINTS, "{}"))
    # Texts that were kept whole can be stripped now.
    is_usable = origin.get(CALCULATIONS) in ("keep", calculations)
    if fingerprints.get(stage.model.name) != stage.fingerprint or not is_usable:
        return COMPLETIONS.to_frame()
    try:
        rollouts, costs = (lake.read(table, *partition) for table in (ROLLOUTS, ROLLOUT_COSTS))
    except ValueError as error:
        _log.warning("%s: its rollouts are drawn again", error)
        return COMPLETIONS.to_frame()
    completer = stage.model.name
    return completions_of(rollouts.filter(completer=completer), costs.filter(model=completer))
