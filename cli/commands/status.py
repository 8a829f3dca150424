"""``shepherd status``: shards and workers."""

from cli.dagster_home import prepare_dagster_home, set_environment
from cli.options import (
    DEFAULT_HOME,
    DEFAULT_PROFILE,
    DagsterHomeOption,
    HomeOption,
    ProfileOption,
    home_at,
)


def status(
    profile: ProfileOption = DEFAULT_PROFILE,
    home: HomeOption = DEFAULT_HOME,
    dagster_home: DagsterHomeOption = None,
) -> None:
    """Show which shards are made and which workers run.

    Of a home in an object store, also which leases they hold.
    """
    prepare_dagster_home(set_environment(profile, home_at(home), dagster_home))
    from cli.status_tables import print_status
    from resources.profiles import load_settings

    print_status(load_settings(profile), home_at(home))
