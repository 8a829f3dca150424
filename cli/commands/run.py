"""``shepherd run``: bring the datasets and models of a profile up to date."""

import atexit
import os
from typing import Annotated

import typer

from cli.dagster_home import prepare_dagster_home, set_environment, silence_exit
from cli.options import (
    DEFAULT_HOME,
    DEFAULT_PROFILE,
    DagsterHomeOption,
    HomeOption,
    ProfileOption,
    home_at,
)


def run(
    profile: ProfileOption = DEFAULT_PROFILE,
    home: HomeOption = DEFAULT_HOME,
    dagster_home: DagsterHomeOption = None,
    assets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            show_default=False,
            help="Assets to make again, even if they are up to date; no other asset is made.",
        ),
    ] = None,
    partitions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET|SHARD...",
            show_default="all",
            help="Partitions in which to make --assets.",
        ),
    ] = None,
    submit: Annotated[
        bool,
        typer.Option(
            "--submit",
            help="Send the work as a backfill to the workers of DAGSTER_HOME, and do not wait.",
        ),
    ] = False,
) -> int:
    """Bring a profile's datasets and models up to date.

    The stages run one after the other. Assets that are up to date are skipped, so the same
    command resumes a run that was stopped.
    """
    if partitions and not assets:
        raise ValueError("--partitions: needs --assets: name the assets to make in them")
    prepare_dagster_home(set_environment(profile, home_at(home), dagster_home))
    # Progress bars of weight files would hide those of the stages.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    atexit.register(silence_exit)
    from resources.profiles import load_settings

    if submit:
        from cli.submission import submit_pipeline as make
    else:
        from cli.pipeline import run_pipeline as make
    return make(
        load_settings(profile),
        home_at(home),
        assets or [],
        partitions or [],
        profile=profile,
    )
