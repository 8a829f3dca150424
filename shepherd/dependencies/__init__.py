"""Say which settings the rows of each asset depend on.

Code versions, the fingerprints of draws and the reasons that a run gives for a remake all come
from here. An asset names what its own code reads from the settings. What it reads through its
inputs is lineage: Dagster follows it. Fields that change speed or memory alone are left out:
those of ``Section.INCIDENTAL``, batch sizes, devices, servers and their time limits.

A dependency is the dotted path of a field: ``sampling.max_tokens``. Parts of a path are fields or
properties of a :class:`Section`, keys of a mapping, or kinds in a list of sections; ``*`` stands
for all of them. The path of a section stands for all its fields.
"""

from shepherd.dependencies.code_versions import (
    WRITTEN_WITH,
    code_version,
    dependencies_of,
    holds_graded_texts,
)
from shepherd.dependencies.fingerprints import Fingerprint, draw_fingerprint, engine_fingerprint

__all__ = [
    "WRITTEN_WITH",
    "Fingerprint",
    "code_version",
    "dependencies_of",
    "draw_fingerprint",
    "engine_fingerprint",
    "holds_graded_texts",
]
