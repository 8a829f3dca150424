"""Open matplotlib for figures in files."""

from typing import Any


def pyplot() -> Any:
    """Return pyplot, set to draw SVG.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ValueError("figures need matplotlib: pip install '.[figures]'") from error
    matplotlib.use("svg")
    from matplotlib import pyplot

    return pyplot
