"""What the pipeline found, as a few tables on the console."""

from resources.home import Home


def print_summary(home: Home, seconds: float) -> None:
    """Print counts, label accuracy, verification and costs, and where to look next."""
    print(f"\ndone in {seconds:.0f} s; {home.root}")
