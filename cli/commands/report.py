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
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="HOME_A HOME_B",
            show_default=False,
            help="Write comparison.html in HOME_B instead: what differs between two homes.",
        ),
    ] = None,
) -> None:
    """Write report.html again from the warehouse.

    Prints the path of the page, in the home folder.
    """
    if compare is not None:
        print(_write_comparison(*compare))
        return
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
    with report_server(folder.report, folder.documents, port) as server:
        server.serve_forever()


def _write_comparison(home_a: str, home_b: str) -> Path:
    """Write the page that compares two homes; return its path."""
    from cli.recorded_settings import recorded_settings
    from resources.report.comparison import write_comparison

    a, b = (home_at(path) for path in (home_a, home_b))
    for home in (a, b):
        home.files.fetch([home.warehouse])
    out = b.root / "comparison.html"
    settings = (recorded_settings(a), recorded_settings(b))
    write_comparison((a.location, b.location), (a.warehouse, b.warehouse), settings, out)
    return out
