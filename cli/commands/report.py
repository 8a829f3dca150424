"""``shepherd report``: the HTML page of the results."""

from pathlib import Path

from cli.options import DEFAULT_HOME, DEFAULT_PROFILE, HomeOption, ProfileOption, home_at


def report(profile: ProfileOption = DEFAULT_PROFILE, home: HomeOption = DEFAULT_HOME) -> None:
    """Write report.html again from the warehouse.

    Prints the path of the page, in the home folder.
    """
    from resources.profiles import load_settings
    from resources.report import build_report, described_run

    settings, folder = load_settings(profile), home_at(home)
    run = described_run(Path(profile).stem, settings, folder)
    build_report(folder.warehouse, folder.study, folder.report, run)
    print(folder.report)
