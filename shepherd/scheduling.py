"""Which rollouts to draw next: many problems in flight, each prefix as far as it is asked for.

The scheduler knows no engine. It is asked for draws (``take``), told what came of them
(``tell``), and keeps enough problems open that an engine's batch stays full while each problem
waits for its rounds. Identical prefixes of a problem are one prefix, and what several annotators
ask for is drawn once.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shepherd.annotators.problem import Annotator, Replay, Rollout, SolvedProblem


class Draw(NamedTuple):
    """The rollouts of these indices of a prefix, in a row."""

    problem: SolvedProblem
    prefix: str
    prefix_id: str
    indices: range


@dataclass
class _Open:
    """A problem in work: its annotators' views, what was drawn, and what is under way."""

    problem: SolvedProblem
    replays: list[Replay]
    drawn: dict[str, list[Rollout]] = field(default_factory=dict)
    num_awaited: int = 0

    def next_draws(self) -> Iterator[Draw]:
        """Show the annotators the finished round; yield what they ask for and was not drawn."""
        assert self.num_awaited == 0
        wanted: dict[str, int] = {}
        for replay in self.replays:
            for prefix, count in replay.advance(self.drawn).items():
                wanted[prefix] = max(count, wanted.get(prefix, 0))
        for prefix in sorted(wanted):
            prefix_id = self.problem.prefix_id(prefix)
            found = self.drawn.setdefault(prefix_id, [])
            indices = range(len(found), wanted[prefix])
            if indices:
                found += [AWAITED] * len(indices)
                self.num_awaited += len(indices)
                yield Draw(self.problem, prefix, prefix_id, indices)


AWAITED = Rollout(is_correct=False, text="", is_error=True)
"""Stands in the place of a rollout until it is told; no annotator is shown it."""


class Scheduler:
    """Hands out draws in the order of the problems; a problem in work goes before a new one."""

    def __init__(self, problems: Iterable[SolvedProblem], annotators: Sequence[Annotator]) -> None:
        self.num_done = 0
        self._annotators = annotators
        self._waiting = iter(problems)
        self._open: dict[str, _Open] = {}
        self._ready: deque[Draw] = deque()
        self._num_ready = 0

    def take(self, count: int) -> list[Draw]:
        """Return draws to make now, of up to ``count`` rollouts in all.

        Fewer where all problems wait for rollouts in the caller's hands; none and nothing in the
        caller's hands means that all is done.
        """
        while self._num_ready < count:
            problem = next(self._waiting, None)
            if problem is None:
                break
            replays = [Replay(annotator, problem) for annotator in self._annotators]
            self._go_on(_Open(problem, replays), first=False)
        taken = []
        while count and self._ready:
            draw = self._ready.popleft()
            if len(draw.indices) > count:
                self._ready.appendleft(draw._replace(indices=draw.indices[count:]))
                draw = draw._replace(indices=draw.indices[:count])
            count -= len(draw.indices)
            self._num_ready -= len(draw.indices)
            taken.append(draw)
        return taken

    def tell(self, told: Iterable[tuple[Draw, int, Rollout]]) -> None:
        """Take in rollouts, each with its draw and index."""
        for draw, index, rollout in told:
            problem = self._open[draw.problem.problem_id]
            problem.drawn[draw.prefix_id][index] = rollout
            problem.num_awaited -= 1
            if problem.num_awaited == 0:
                self._go_on(problem, first=True)

    def _go_on(self, problem: _Open, *, first: bool) -> None:
        draws = list(problem.next_draws())
        if first:
            self._ready.extendleft(reversed(draws))
        else:
            self._ready.extend(draws)
        self._num_ready += problem.num_awaited
        if draws:
            self._open[problem.problem.problem_id] = problem
        else:
            self._open.pop(problem.problem.problem_id, None)
            self.num_done += 1
