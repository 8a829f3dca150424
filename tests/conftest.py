"""Every test works on the tiny profile in a home of its own, never on the data of a checkout."""

import atexit
import os
import tempfile
from pathlib import Path

from assets.run import prepare_dagster_home, silence_the_end
from resources.home import Home

_HOME = tempfile.TemporaryDirectory(prefix="shepherd-tests-")

# Before any import of assets: the code location reads these when it is imported.
os.environ.update(
    SHEPHERD_HOME=_HOME.name,
    SHEPHERD_PROFILE="tiny",
    DAGSTER_HOME=str(Path(_HOME.name) / "dagster"),
    DAGSTER_DISABLE_TELEMETRY="yes",
)

prepare_dagster_home(Home.from_env())
atexit.register(silence_the_end)
