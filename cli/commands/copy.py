"""``shepherd copy``: a home from a folder to an object store, or back."""

from typing import Annotated

import typer

from cli.options import home_at


def copy(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Home to read: a folder, or s3://BUCKET/PREFIX.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Home to write, empty or of an earlier copy.")
    ],
) -> None:
    """Copy a home between a folder and an object store.

    Tables, models, exports, warehouse and report are copied. Let no run write in either home
    meanwhile. Keep DAGSTER_HOME: its events say what is up to date.
    """
    from cli.home_copy import copy_home

    old, new = home_at(source), home_at(target)
    count = 0
    for path in copy_home(old, new):
        count += 1
        print(path.relative_to(old.root), flush=True)
    print(f"{count} files, folders and models copied to {new.location}")
    if any(path.is_file() for path in old.journals.rglob("*")):
        print(f"Not copied: requests of stages that have not ended, in {old.journals}")
    if not old.address and old.dagster.exists():
        print(f"Run there with --dagster-home {old.dagster}: it knows what is up to date")
