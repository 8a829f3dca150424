"""Show how far a stage has drawn: its units, requests, tokens a second and the time left."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

import polars as pl
from tqdm import tqdm

from resources.sampling.request_source import RequestSource

TICK_SECONDS = 5.0
"""Seconds after which the bar is drawn again while an engine finishes nothing."""

SHARE_OF_RUNNING = 0.25
"""Speed and time left are shown once so many completions have finished, as a share of those that
are being drawn."""

FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}s [{elapsed}{postfix}]"


class DrawingBar:
    """The progress bar of a stage.

    Speed and time left count what the engine has drawn since it is open, not what a journal held.
    Completions that are being drawn count as half of one. At first they are less than that, and
    those that are finished are the shortest, so that both are shown once a few have finished.
    """

    def __init__(
        self,
        description: str,
        source: RequestSource,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._clock = clock
        self._started = 0.0
        self._capacity = 0
        self._num_queued = 0
        self._num_drawn = 0
        self._num_not_in_source = 0
        self._num_tokens = 0
        self._is_closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._bar = tqdm(
            desc=description,
            total=source.total,
            unit=source.unit,
            mininterval=1.0,
            bar_format=FORMAT,
        )

    def __enter__(self) -> "DrawingBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closed.set()
        if self._ticker.ident is not None:
            self._ticker.join()
        self._bar.close()

    def opening(self) -> None:
        """Say that the engine loads its model, which takes a minute and more."""
        self._bar.set_postfix_str("opening the engine")

    def opened(self, capacity: int) -> None:
        """Begin to measure the speed of an engine, and to show that time passes."""
        self._started, self._capacity = self._clock(), capacity
        self._ticker.start()

    def queued(self, count: int) -> None:
        """Say that the engine has this many completions to draw, until it has finished a few."""
        self._num_queued = count
        if not self._is_speed_known:
            self._show()

    def drawn(self, completions: pl.DataFrame) -> None:
        """Count completions that the engine has finished."""
        self._num_queued -= completions.height
        self._num_drawn += completions.height
        self._num_not_in_source += completions.height
        self._num_tokens += int(completions["num_tokens"].sum())
        self._show()

    def advance(self) -> None:
        """Show how many units of the source are done, which has all that was drawn."""
        self._num_not_in_source = 0
        self._bar.update(self._source.num_done - self._bar.n)
        if self._num_drawn:
            self._show()

    def status(self) -> str:
        """Return requests, tokens a second and the time left, as far as they are known."""
        if not self._is_speed_known:
            finished = f"{self._num_drawn:,} finished" if self._num_drawn else "none finished yet"
            return f"drawing {self._num_queued:,} completions, {finished}"
        seconds = max(self._clock() - self._started, 1e-9)
        half = self._num_running / 2
        share_drawn = (self._num_drawn + half) / self._num_drawn
        speed = self._num_tokens * share_drawn / seconds
        parts = [f"{speed:,.{int(speed < 10)}f} tokens/s"]
        if self._source.unit != "completion":
            parts.insert(0, f"{self._num_drawn:,} completions")
        num_left = self._source.num_left
        if num_left is not None:
            num_left -= self._num_not_in_source
            left = seconds * max(0.0, num_left - half) / (self._num_drawn + half)
            parts.append(f"{tqdm.format_interval(round(left))} left")
        return ", ".join(parts)

    @property
    def _num_running(self) -> int:
        return min(self._num_queued, self._capacity)

    @property
    def _is_speed_known(self) -> bool:
        return self._num_drawn > 0 and self._num_drawn >= SHARE_OF_RUNNING * self._num_running

    def _tick(self) -> None:
        while not self._is_closed.wait(TICK_SECONDS):
            self._bar.refresh()

    def _show(self) -> None:
        self._bar.set_postfix_str(self.status(), refresh=False)
        now = time.time()
        # The bar redraws itself only where a unit is done.
        if now - self._bar.last_print_t >= self._bar.mininterval:
            self._bar.last_print_t = now
            self._bar.refresh()
