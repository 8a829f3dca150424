"""Open Dagster's databases of runs and events, and explain what is wrong with them."""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import yaml
from dagster_shared.check import CheckError
from sqlalchemy.exc import DBAPIError

from assets.lost_runs import fail_lost_runs
from cli.event_storage import OpenEventStorage
from cli.run_storage import LocatedRunStorage
from resources.storage.atomic import replacing_file
from resources.storage.home import Home
from resources.storage.locks import file_lock
from shepherd.settings import RunSettings

CONFIG = "pipeline.yaml"
"""The file in DAGSTER_HOME that configures the instance of this command."""

NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}

ONE_MACHINE = RunSettings()
"""One pool for all runs that hold a model."""

STORAGES = {"storage", "run_storage", "event_log_storage", "schedule_storage"}
"""Sections of dagster.yaml that say where runs and events are stored."""

LONG_LISTS = re.compile(r" Expected: \"\{.*?\}\"\.", re.DOTALL)
"""Where Dagster lists all fields that dagster.yaml may have."""

UNSET_VARIABLE = re.compile(r'environment variable "(\w+)" which is not set')
"""How Dagster names a variable that dagster.yaml reads."""

OTHER_CONFIG = "correct it, or move it aside, and the next command writes the project's own"
"""The way out of a wrong dagster.yaml."""

MISSING_EXTRA = (
    "install the extra that has it (pip install -c constraints.txt -e '.[scale]', '.[k8s]' or "
    f"'.[ray]'), or {OTHER_CONFIG}"
)
"""The way out of a dagster.yaml that names a package that is not installed."""

LOCK = ".preparing.lock"
"""The lock in DAGSTER_HOME of the process that makes the databases."""

BYTES_TO_WRITE = 2**20
"""With less space than that, SQLite reports a failing disk where it cannot make its files."""

LOSSES = {
    "runs.db": "the list of runs begins anew, and what is made stays up to date",
    "index.db": "all assets count as never made, so they are made again",
    "schedules.db": "sensors and schedules must be switched on again",
}
"""What moving a database aside costs, by its name."""


@contextmanager
def opened_instance(home: Home, runs: RunSettings = ONE_MACHINE) -> Iterator[dg.DagsterInstance]:
    """Open the instance of DAGSTER_HOME: its databases made, its pools limited, lost runs failed.

    Raises:
        ValueError: dagster.yaml is wrong, or a database is damaged, locked, full or cannot be
            written; the message names the file and the way out.
    """
    folder = Path(os.environ.get("DAGSTER_HOME", str(home.dagster)))
    with _database_errors_explained(folder), ExitStack() as stack:
        # Two processes that make the databases at once fail.
        with file_lock(folder / LOCK):
            instance = stack.enter_context(open_instance(folder))
            prepare_instance(instance, runs)
        yield instance


def open_instance(folder: Path) -> dg.DagsterInstance:
    """Open the instance of a DAGSTER_HOME without compute logs, with our storages.

    Events are stored faster, and runs with the code location by which the timeline finds them.

    Steps print to this console. To copy that into log files, Dagster would start four processes a
    step, which print tracebacks on Ctrl-C.

    Raises:
        ValueError: dagster.yaml is no YAML, or asks for what Dagster does not have.
    """
    shared = folder / "dagster.yaml"
    config = _read_config(shared) if shared.is_file() else {}
    config["compute_logs"] = NO_COMPUTE_LOGS
    if not config.keys() & STORAGES:
        history = folder.absolute() / "history"
        config["run_storage"] = _storage(LocatedRunStorage, history)
        config["event_log_storage"] = _storage(OpenEventStorage, history / "runs")
    with replacing_file(folder / CONFIG) as file:
        file.write(yaml.safe_dump(config).encode())
    try:
        instance = dg.DagsterInstance.from_config(str(folder), CONFIG)
        # Dagster loads these classes when they are used first.
        assert instance.run_launcher
        assert instance.run_coordinator
    except (dg.DagsterError, ImportError, CheckError) as error:
        raise ValueError(f"{shared}: {_config_fault(str(error))}") from error
    return instance


def _storage(storage: type, base_dir: Path) -> dict[str, object]:
    """Return the section of dagster.yaml of a storage in a folder."""
    return {
        "module": storage.__module__,
        "class": storage.__name__,
        "config": {"base_dir": str(base_dir)},
    }


def _config_fault(message: str) -> str:
    """Return what is wrong with a dagster.yaml, given Dagster's message, and the way out."""
    unset = sorted(set(UNSET_VARIABLE.findall(message)))
    if unset:
        return f"reads environment variables that are not set: set {', '.join(unset)}"
    reason = LONG_LISTS.sub("", message).replace(CONFIG, "dagster.yaml")
    way_out = MISSING_EXTRA if "import" in reason else OTHER_CONFIG
    return f"{reason.strip()}: {way_out}"


def prepare_instance(instance: dg.DagsterInstance, runs: RunSettings) -> None:
    """Limit the pools of a profile, and mark lost runs as failed.

    A limit that the profile names replaces one that was set in the UI.
    """
    events = instance.event_log_storage
    limits = {limit.name: limit.limit for limit in events.get_pool_limits()}
    for pool in sorted(runs.pools):
        limit = runs.pool_limits.get(pool)
        if limit is not None and limits.get(pool) != limit:
            events.set_concurrency_slots(pool, limit)
        # Dagster sets the default limit while it starts the first runs, and that time ignores it.
        elif pool not in limits:
            events.initialize_concurrency_limit_to_default(pool)
    for line in fail_lost_runs(instance):
        print(line, flush=True)


def _read_config(path: Path) -> dict[str, object]:
    """Read dagster.yaml.

    Raises:
        ValueError: it is no YAML, or no mapping.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {error}: {OTHER_CONFIG}") from error
    if not isinstance(config, dict | None):
        raise ValueError(f"{path}: must hold fields and their values: {OTHER_CONFIG}")
    return config or {}


@contextmanager
def _database_errors_explained(folder: Path) -> Iterator[None]:
    """Turn errors of Dagster's databases into one line.

    Raises:
        ValueError: a database is damaged, locked, full or cannot be written; the message names
            the file and the way out.
    """
    try:
        yield
    except _storage_errors() as error:
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        reason = str(cause.orig) if isinstance(cause, DBAPIError) else str(error)
        if type(getattr(cause, "orig", None)).__module__.startswith("psycopg2"):
            raise ValueError(
                f"{folder / 'dagster.yaml'}: PostgreSQL cannot be used ({reason.strip()}): start "
                "it, or correct `storage` and the variables that it names"
            ) from error
        raise ValueError(_explanation(folder, reason)) from error


def _storage_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of Dagster's storages; that of PostgreSQL is in an extra."""
    if find_spec("dagster_postgres") is None:
        return (DBAPIError,)
    from dagster_postgres.utils import DagsterPostgresException

    return DBAPIError, DagsterPostgresException


def _explanation(folder: Path, reason: str) -> str:
    # The check of large databases takes minutes, and a lock says nothing about their content.
    is_locked = "locked" in reason
    for path in [] if is_locked else sorted(folder.rglob("*.db")):
        damage = _damage(path)
        if damage:
            loss = LOSSES.get(path.name, "the events of that run are lost")
            return (
                f"{path}: this database of Dagster is damaged ({damage}): move it aside, with "
                f"{path.name}-wal and {path.name}-shm if they exist; the lake and the models are "
                f"not affected; {loss}"
            )
    if is_locked:
        way_out = "another process writes to them: try again, or end it"
    elif "full" in reason or shutil.disk_usage(folder).free < BYTES_TO_WRITE:
        way_out = "free space on the disk; the same command resumes"
    else:
        way_out = "make the folder writable, or correct `storage` in its dagster.yaml"
    return f"{folder}: Dagster's databases cannot be used ({reason}): {way_out}"


def _damage(path: Path) -> str | None:
    """Return what is wrong with the content of an SQLite file, or None."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            [(verdict, *_), *_] = database.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if verdict == "ok" else str(verdict)
