"""Say which settings of an asset have changed since it was made."""

from collections.abc import Mapping

import dagster as dg

from assets.describe import SETTINGS_KEY

MAX_CHANGES = 3
"""The most changed fields that a reason names."""

OTHER_VERSION = "made by another version of the pipeline"


def settings_in(metadata: Mapping[str, object]) -> dict[str, object] | None:
    """Return the settings that an asset depends on, by dotted field, or None if not recorded."""
    value = metadata.get(SETTINGS_KEY)
    return dict(value.data) if isinstance(value, dg.JsonMetadataValue) and value.data else None


def changes_of(old: dict[str, object] | None, new: dict[str, object] | None) -> str:
    """Return a reason that names the changed fields with both values.

    Without a changed field the reason is ``OTHER_VERSION``.
    """
    if old is None or new is None or old == new:
        return OTHER_VERSION
    changes = [
        f"{field} was {_shown(old, field)}, is {_shown(new, field)}"
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field) or (field in old) != (field in new)
    ]
    more = [f"and {len(changes) - MAX_CHANGES} more"] if len(changes) > MAX_CHANGES else []
    return "; ".join([*changes[:MAX_CHANGES], *more])


def _shown(settings: Mapping[str, object], field: str) -> str:
    return str(settings[field]) if field in settings else "not set"
