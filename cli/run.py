"""Run the whole pipeline of a profile in this process, stage by stage.

    python -m cli.run --profile demo
    python -m cli.run --profile demo --assets steps step_labels --partitions 'word_problems|00'

What is there and up to date is skipped, so that a run that was stopped or failed resumes; assets
that are named are made again. Runs are kept in DAGSTER_HOME, where the UI (``make ui``) shows them.
"""

import argparse
import atexit
import os
import shutil
import sys
from pathlib import Path

from resources.profiles import profile_from_env, settings_from_env
from resources.storage.home import Home

TEMPLATE = Path(__file__).resolve().parent.parent / "resources" / "dagster_home" / "dagster.yaml"


def main() -> int:
    """Run the pipeline; return 0, or 2 if the user can put it right, 1 if a part failed else."""
    parser = argparse.ArgumentParser(
        prog="python -m cli.run", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--profile", help="name in profiles/ or path of a .yaml (default: demo)")
    parser.add_argument("--assets", nargs="+", default=[], help="make these again, and no other")
    parser.add_argument(
        "--partitions", nargs="+", default=[], help="where to make them, as dataset|shard (all)"
    )
    parser.add_argument("--prepare", action="store_true", help="only prepare DAGSTER_HOME")
    arguments = parser.parse_args()
    if arguments.partitions and not arguments.assets:
        parser.error("--partitions goes with --assets")
    if arguments.profile:
        os.environ["SHEPHERD_PROFILE"] = arguments.profile
    home = Home.from_env()
    # Bars for each file of weights would hide those of the stages.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    prepare_dagster_home(home)
    if arguments.prepare:
        return 0
    try:
        from cli.pipeline import run_pipeline

        return run_pipeline(
            settings_from_env(),
            home,
            arguments.assets,
            arguments.partitions,
            profile=Path(profile_from_env()).stem,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. What was finished is kept: the same command goes on from there.")
        return 130


def prepare_dagster_home(home: Home) -> None:
    """Create DAGSTER_HOME with its settings, unless it has settings already."""
    folder = Path(os.environ.setdefault("DAGSTER_HOME", str(home.dagster)))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TEMPLATE.name).exists():
        shutil.copy(TEMPLATE, folder / TEMPLATE.name)


def silence_the_end() -> None:
    """Send what native code prints after Python's own end nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


if __name__ == "__main__":
    # No connection is open any more, but what Dagster and torch keep alive past Python's own end
    # holds the constants of DuckDB's module, which its binding tells as leaks.
    atexit.register(silence_the_end)
    sys.exit(main())
