"""Send what model libraries print to a file, so that it does not break progress bars."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

LIBRARIES = ("transformers", "vllm")
"""Loggers that write to the console on their own."""

_named_paths: set[Path] = set()


@contextmanager
def prints_go_to(log: Path | None) -> Iterator[None]:
    """Append what this process prints meanwhile to a file; and what processes print for good that
    are started meanwhile.

    The libraries' loggers write there from then on. The first time, the console names the file.
    Nothing changes if ``log`` is null.
    """
    if log is None:
        yield
        return
    if log not in _named_paths:
        _named_paths.add(log)
        tqdm.write(f"   messages of the model libraries: {log}", file=sys.stderr)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file, _descriptors_replaced(file.fileno()):
        yield
    _redirect_loggers(log)


@contextmanager
def _descriptors_replaced(target: int) -> Iterator[None]:
    """Let standard output and error of the process be ``target``."""
    _flush()
    saved = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in saved:
            os.dup2(target, number)
        yield
    finally:
        _flush()
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _redirect_loggers(log: Path) -> None:
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        for handler in [
            each for each in logger.handlers if isinstance(each, logging.StreamHandler)
        ]:
            logger.removeHandler(handler)
            if isinstance(handler, logging.FileHandler):
                handler.close()
        handler = logging.FileHandler(log, delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
