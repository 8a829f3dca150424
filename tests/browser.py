"""A real browser without a window: Chromium, if this machine has one."""

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
)


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def dump_dom(chromium: str, page: str) -> str:
    """Return the document of a page after its scripts have run; ``page`` may have a #fragment."""
    return _run(chromium, "--dump-dom", "--virtual-time-budget=20000", page)


def screenshot(
    chromium: str, page: str, out: Path, *, width: int, height: int, dark: bool = False
) -> None:
    """Take a picture of the top ``height`` pixels of a page."""
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    _run(
        chromium,
        *scheme,
        f"--window-size={width},{height}",
        "--virtual-time-budget=20000",
        f"--screenshot={out}",
        page,
    )


def _run(chromium: str, *arguments: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [chromium, *FLAGS, f"--user-data-dir={profile}", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
