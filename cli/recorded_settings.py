"""Read the settings of a home's runs from Dagster's event log."""

import dagster as dg

from assets.describe import SETTINGS_KEY
from cli.runs_database import open_instance
from resources.storage.home import Home


def recorded_settings(home: Home) -> dict[str, object]:
    """Return the settings that the latest materializations of a home record, by dotted field.

    Empty if the home has no event log. Fields of assets that were never made are missing.
    """
    if not home.dagster.is_dir():
        return {}
    settings: dict[str, object] = {}
    with open_instance(home.dagster) as instance:
        for key in sorted(instance.get_asset_keys(), key=str):
            event = instance.get_latest_materialization_event(key)
            written = event.asset_materialization if event else None
            value = written.metadata.get(SETTINGS_KEY) if written else None
            if isinstance(value, dg.JsonMetadataValue) and isinstance(value.value, dict):
                settings |= value.value
    return settings
