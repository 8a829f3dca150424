"""Rollouts that the lake holds already: what was drawn once is not drawn again.

The file of a sampled partition keeps, in its footer, the fingerprint of each model's draws
(:data:`resources.storage.journal.Fingerprint`), and whether calculations were stripped from their
texts (``splitting.calculations``): journals hold them as they were drawn, the lake does not.
Rollouts of the same fingerprint are those that would be drawn again, so that another annotator or
another N begins with them. Those that are not asked for this time leave the file: the lake holds
what its labels were counted from, no more.
"""

import json
import logging
from collections.abc import Mapping

import polars as pl

from resources.storage.journal import Fingerprint
from resources.storage.lake import Lake
from shepherd.requests import COMPLETIONS
from shepherd.rollouts import completions_of
from shepherd.schemas import ROLLOUT_COSTS, ROLLOUTS

KEY = "fingerprints"
"""The field of the footer: JSON, the fingerprints by model."""
CALCULATIONS = "calculations"
"""The field of the footer: ``keep`` or ``strip``, what was done to the texts."""

_log = logging.getLogger(__name__)


def origin_of(fingerprints: Mapping[str, Fingerprint], calculations: str) -> dict[str, str]:
    """Return what a file keeps of its draws; nothing where nothing was drawn."""
    if not fingerprints:
        return {}
    return {KEY: json.dumps(fingerprints, sort_keys=True), CALCULATIONS: calculations}


def earlier_rollouts(
    lake: Lake,
    dataset: str,
    shard: str,
    completer: str,
    fingerprint: Fingerprint,
    calculations: str,
) -> pl.DataFrame:
    """Return the rollouts of a partition as ``COMPLETIONS``.

    Without rows if there are none, if they were drawn under another fingerprint, or if they were
    stripped of the ``calculations`` that are to be kept.
    """
    origin = lake.metadata(ROLLOUTS, dataset, shard)
    kept = origin.get(KEY)
    if kept is None or json.loads(kept).get(completer) != fingerprint:
        return COMPLETIONS.to_frame()
    # What was kept whole can be stripped now.
    if origin.get(CALCULATIONS) not in ("keep", calculations):
        return COMPLETIONS.to_frame()
    try:
        rollouts, costs = (lake.read(t, dataset, shard) for t in (ROLLOUTS, ROLLOUT_COSTS))
    except ValueError as error:
        _log.warning("%s: its rollouts are drawn again", error)
        return COMPLETIONS.to_frame()
    return completions_of(rollouts.filter(completer=completer), costs.filter(model=completer))
