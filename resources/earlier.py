"""Rollouts that the lake holds already: what was drawn once is not drawn again.

The file of a sampled partition keeps, in its footer, the fingerprint of each model's draws
(:data:`resources.journal.Fingerprint`). Rollouts of the same fingerprint are those that would be
drawn again, so that another annotator or another N begins with them.
"""

import json
import logging
from collections.abc import Mapping

from resources.journal import Fingerprint
from resources.lake import Lake
from shepherd.requests import Completion
from shepherd.rollouts import completions_of
from shepherd.schemas import ROLLOUT_COSTS, ROLLOUTS

KEY = "fingerprints"
"""The field of the footer: JSON, the fingerprints by model."""

_log = logging.getLogger(__name__)


def origin_of(fingerprints: Mapping[str, Fingerprint]) -> dict[str, str]:
    """Return what a file keeps of its draws; nothing where nothing was drawn."""
    return {KEY: json.dumps(fingerprints, sort_keys=True)} if fingerprints else {}


def earlier_rollouts(
    lake: Lake, dataset: str, shard: str, completer: str, fingerprint: Fingerprint
) -> dict[str, Completion]:
    """Return the rollouts of a partition, as completions by request id.

    None if there are none, or if they were drawn under another fingerprint.
    """
    kept = lake.metadata(ROLLOUTS, dataset, shard).get(KEY)
    if kept is None or json.loads(kept).get(completer) != fingerprint:
        return {}
    try:
        rollouts, costs = (lake.read(t, dataset, shard) for t in (ROLLOUTS, ROLLOUT_COSTS))
    except ValueError as error:
        _log.warning("%s: its rollouts are drawn again", error)
        return {}
    found = completions_of(rollouts.filter(completer=completer), costs.filter(model=completer))
    return {completion.request_id: completion for completion in found}
