"""Find the files of the lake that were there and are lost."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from resources.storage.findings import Finding
from resources.storage.lake import Lake
from resources.storage.recorded import recorded_files
from resources.storage.shards import Shards
from shepherd.identity import shard_keys
from shepherd.schemas import PROBLEMS, table_named

SOURCES: Mapping[str, str] = {
    "solutions": "problems",
    "solution_costs": "problems",
    "steps": "solutions",
    "rollouts": "steps",
    "rollout_costs": "steps",
    "asked_rollouts": "steps",
    "search_trees": "steps",
    "step_labels": "steps",
    "oracle_labels": "steps",
    "monte_carlo_labels": "rollouts",
    "labeled_solutions": "problems",
    "candidates": "problems",
    "candidate_costs": "problems",
    "candidate_scores": "candidates",
    "greedy_solutions": "problems",
}
"""A table that each table is made from, in all profiles. It is written first."""


FROM_IT = "tables that are made from it exist"
A_RUN = "a run has written it"
"""How we know that a file was there."""


def lost_files(lake: Lake, shards: Shards, dagster: Path) -> Iterator[Finding]:
    """Name the files that are lost, and the partitions that the next run makes.

    A file is lost if a table that is made from it exists, or if a run has recorded that it wrote
    the file. Otherwise it may never have been made. Datasets that ``shards`` does not have any
    more were removed on purpose.
    """
    reasons = dict.fromkeys(_sources(lake), FROM_IT)
    try:
        recorded = recorded_files(dagster)
    except ValueError as error:
        yield Finding(dagster, str(error))
        recorded = set()
    for name, *partition in recorded:
        if not (partition and shards) or partition[0] in shards:
            reasons.setdefault((name, *partition), A_RUN)
    lost = {key: lake.path(*key) for key in reasons}
    lost = {key: path for key, path in lost.items() if not path.exists()}
    for key, path in sorted(lost.items()):
        problem = f"is missing, although {reasons[key]}: materialize the asset {key[0]} again"
        yield Finding(path, problem)
    yield from _unmade(lake, shards, lost)


def _tables(lake: Lake) -> Mapping[str, set[tuple[str, str]]]:
    """Return the partitions of each table, of PROBLEMS too if it has none."""
    folders = (path for path in lake.root.glob("*") if path.is_dir())
    tables = [table for folder in folders if (table := table_named(folder.name))]
    return {table.name: set(lake.partitions(table)) for table in {PROBLEMS, *tables}}


def _sources(lake: Lake) -> Iterator[tuple[str, ...]]:
    """Yield the partitions that existing ones are made from: (table, dataset, shard)."""
    for name, partitions in _tables(lake).items():
        if name in SOURCES:
            yield from ((SOURCES[name], *partition) for partition in partitions)


def _unmade(lake: Lake, shards: Shards, lost: Mapping[tuple[str, ...], Path]) -> Iterator[Finding]:
    """Note the tables that lack partitions of which nothing says that they were there."""
    for name, partitions in sorted(_tables(lake).items()):
        for dataset in sorted({dataset for dataset, _ in partitions} & shards.keys()):
            keys = {(dataset, key) for key in shard_keys(shards[dataset].shards)}
            if unmade := sorted(key for key in keys - partitions if (name, *key) not in lost):
                problem = f"{len(unmade)} of {len(keys)} shards are not there, first {unmade[0][1]}"
                where = lake.root / name / dataset
                yield Finding(where, f"{problem}: the next run makes them", is_note=True)
