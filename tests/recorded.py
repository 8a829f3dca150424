"""Record which steps of Dagster runs read and write which tables and checkpoints."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.storage.io_manager import ParquetIOManager
from resources.storage.lake import Lake
from resources.storage.model_store import ModelStore
from resources.storage.sql_files import sql_models
from shepherd.schemas import Table

Accesses = dict[str, set[str]]
"""Names of tables or models, by the name of the function that reads or writes them."""

_step: ContextVar[str | None] = ContextVar("step", default=None)
"""The function for which the IO manager works at the moment."""


@dataclass
class Recorded:
    """Reads and writes of steps; those outside of a step are left out."""

    read: Accesses = field(default_factory=lambda: defaultdict(set))
    """Tables that were read. The IO manager gives out frames that are read when they are used."""
    stored: Accesses = field(default_factory=lambda: defaultdict(set))
    """Tables that the IO manager wrote."""
    written: Accesses = field(default_factory=lambda: defaultdict(set))
    """Tables that functions wrote themselves."""
    weights_read: Accesses = field(default_factory=lambda: defaultdict(set))
    weights_saved: Accesses = field(default_factory=lambda: defaultdict(set))


@contextmanager
def recording() -> Iterator[Recorded]:
    """Record what the runs in the body read and write."""
    recorded = Recorded()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load_input", "handle_output"):
            patch.setattr(ParquetIOManager, name, _marked(getattr(ParquetIOManager, name)))
        for name in ("read", "scan", "metadata"):
            method = getattr(Lake, name)
            patch.setattr(Lake, name, _noted(method, recorded.read, recorded.read))
        patch.setattr(Lake, "write", _noted(Lake.write, recorded.stored, recorded.written))
        for name, accesses in (("path", recorded.weights_read), ("save", recorded.weights_saved)):
            patch.setattr(ModelStore, name, _noted(getattr(ModelStore, name), accesses, accesses))
        yield recorded


def _marked(method: Callable[..., Any]) -> Callable[..., Any]:
    def marked(self: object, context: Any, *arguments: Any) -> Any:
        token = _step.set(context.op_def.name)
        try:
            return method(self, context, *arguments)
        finally:
            _step.reset(token)

    return marked


def _noted(method: Callable[..., Any], by_manager: Accesses, by_body: Accesses) -> Any:
    def noted(self: object, target: Table | str, *arguments: Any, **options: Any) -> Any:
        name = target.name if isinstance(target, Table) else target
        step = _step.get()
        if step is not None:
            by_manager[step].add(name)
        elif (body := _body()) is not None:
            by_body[body].add(name)
        return method(self, target, *arguments, **options)

    return noted


def _body() -> str | None:
    """Return the name of the function that runs in a step, if one does."""
    try:
        return dg.AssetExecutionContext.get().op_def.name
    except dg.DagsterInvariantViolationError:
        return None


def check_lineage(recorded: Recorded, definitions: dg.Definitions, lake: Path) -> None:
    """Check that the asset graph declares all that was read and written, and nothing else."""
    graph = definitions.resolve_asset_graph()
    assets = {
        definitions.resolve_assets_def(key).op.name: definitions.resolve_assets_def(key)
        for key in graph.get_all_asset_keys()
    }
    parents = {
        name: {parent.path[-1] for key in asset.keys for parent in graph.get(key).parent_keys}
        for name, asset in assets.items()
    }
    outputs = {name: {key.path[-1] for key in asset.keys} for name, asset in assets.items()}
    tables = {path.name for path in lake.iterdir() if path.is_dir()}

    # Only the IO manager writes, and every table in the lake is the output of one asset.
    assert not recorded.written
    for name, stored in recorded.stored.items():
        assert stored == outputs[name], name
    assert tables == set().union(*recorded.stored.values())

    # Assets read what they declare. The draws of an earlier run are the one exception; rollouts of
    # an earlier pilot and of annotators are the same draws.
    rollouts = {"rollouts", "rollout_costs", "pilot_rollouts", "pilot_costs"}
    own = {
        "solutions": {"solutions", "solution_costs"},
        "rollouts": rollouts,
        "pilot_rollouts": rollouts,
        "candidates": {"candidates", "candidate_costs"},
        "greedy_solutions": {"greedy_solutions"},
    }
    for name in assets.keys() - {"warehouse", "report"}:
        reads = recorded.read.get(name, set()) - (own.get(name, set()) - parents[name])
        assert reads == parents[name] & tables, name

    # Each model asset saves its own checkpoint, and reads those that it declares.
    for name, saved in recorded.weights_saved.items():
        assert saved == outputs[name], name
    for name, models in recorded.weights_read.items():
        assert models <= parents[name] | outputs[name], name

    # The warehouse declares each table that its SQL reads, if the lake has it.
    for model in sql_models():
        reads = {relation.removeprefix("lake.") for relation in model.upstream}
        declared = {key.path[-1] for key in graph.get(dg.AssetKey(model.name)).parent_keys}
        of_lake = {relation for relation in model.upstream if relation.startswith("lake.")}
        missing = {relation.removeprefix("lake.") for relation in of_lake} - tables
        assert declared == reads - missing, model.name
