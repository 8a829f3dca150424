"""``shepherd report``: the HTML page of the results."""

from pathlib import Path

from cli.options import DEFAULT_HOME, DEFAULT_PROFILE, HomeOption, ProfileOption, home_at


def report(profile: ProfileOption = DEFAULT_PROFILE, home: HomeOption = DEFAULT_HOME) -> None:
    """Write report.html again from the warehouse.

    Prints the path of the page, in the home folder.
    """
    from resources.profiles import load_settings
    from resources.report import build_report_of

    folder = home_at(home)
    build_report_of(folder, Path(profile).stem, load_settings(profile))
    print(folder.report)
