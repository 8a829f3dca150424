"""Prepare matplotlib to write figures into files."""

from typing import Any


def pyplot() -> Any:
    """Return pyplot with the SVG backend.

    Raises:
        ValueError: matplotlib is not installed; install the extra ``figures``.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ValueError(
            "the package matplotlib is not installed: pip install '.[figures]'"
        ) from error
    matplotlib.use("svg")
    from matplotlib import pyplot

    return pyplot
