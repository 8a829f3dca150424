"""``shepherd report``: the HTML page of the results."""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.ui import check_port
from cli.options import DEFAULT_HOME, DEFAULT_PROFILE, HomeOption, ProfileOption, home_at


def report(
    profile: ProfileOption = DEFAULT_PROFILE,
    home: HomeOption = DEFAULT_HOME,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help="Then serve the page at http://localhost:PORT until Ctrl-C: marks and notes are "
            "written to report_marks.jsonl beside it, and selections can be Parquet.",
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Port of --serve.")
    ] = 8787,
) -> None:
    """Write report.html again from the warehouse.

    Prints the path of the page, in the home folder.
    """
    from resources.profiles import load_settings
    from resources.report import build_report_of

    folder = home_at(home)
    build_report_of(folder, Path(profile).stem, load_settings(profile))
    print(folder.report)
    if not serve:
        return
    from resources.report.server import report_server

    check_port(port)
    print(f"http://localhost:{port}  (Ctrl-C ends the server)", flush=True)
    with report_server(folder.report, port) as server:
        server.serve_forever()
