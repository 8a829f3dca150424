"""The order of rollouts: which to draw next, with many problems in flight.

The scheduler knows no engine. ``take`` hands out draws, ``record`` takes their rollouts. Enough
problems are open that an engine's batch stays full while each problem waits for its rounds.
Identical prefixes of a problem are one prefix, and rollouts that several annotators ask for are
drawn once.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shepherd.annotators.problem import Annotator, Replay, Rollout, SolvedProblem


class Draw(NamedTuple):
    """Rollouts of one prefix to draw, of consecutive indices."""

    problem: SolvedProblem
    prefix: str
    prefix_id: str
    indices: range


@dataclass
class _Open:
    """A problem in flight: the replays of its annotators, its rollouts, and the number awaited."""

    problem: SolvedProblem
    replays: list[Replay]
    drawn: dict[str, list[Rollout]] = field(default_factory=dict)
    num_awaited: int = 0

    def next_draws(self) -> Iterator[Draw]:
        """Pass the finished round to the annotators; yield the draws that they ask for next."""
        assert self.num_awaited == 0
        targets: dict[str, int] = {}
        for replay in self.replays:
            for prefix, count in replay.advance(self.drawn).items():
                targets[prefix] = max(count, targets.get(prefix, 0))
        for prefix in sorted(targets):
            prefix_id = self.problem.prefix_id(prefix)
            rollouts = self.drawn.setdefault(prefix_id, [])
            indices = range(len(rollouts), targets[prefix])
            if indices:
                rollouts += [AWAITED] * len(indices)
                self.num_awaited += len(indices)
                yield Draw(self.problem, prefix, prefix_id, indices)


AWAITED = Rollout(is_correct=False, text="", is_error=True)
"""A placeholder until the rollout is recorded. No annotator sees it."""


class Scheduler:
    """Hands out draws in the order of the problems; problems in flight come before new ones."""

    def __init__(self, problems: Iterable[SolvedProblem], annotators: Sequence[Annotator]) -> None:
        self.num_done = 0
        self._annotators = annotators
        self._waiting = iter(problems)
        self._open: dict[str, _Open] = {}
        self._ready: deque[Draw] = deque()
        self._num_ready = 0

    def take(self, count: int) -> list[Draw]:
        """Return the next draws, of up to ``count`` rollouts in all.

        There are fewer if all open problems wait for rollouts. If there are none and the caller has
        none left to record, all problems are done.
        """
        while self._num_ready < count:
            problem = next(self._waiting, None)
            if problem is None:
                break
            replays = [Replay(annotator, problem) for annotator in self._annotators]
            self._go_on(_Open(problem, replays), first=False)
        draws = []
        while count and self._ready:
            draw = self._ready.popleft()
            if len(draw.indices) > count:
                self._ready.appendleft(draw._replace(indices=draw.indices[count:]))
                draw = draw._replace(indices=draw.indices[:count])
            count -= len(draw.indices)
            self._num_ready -= len(draw.indices)
            draws.append(draw)
        return draws

    def record(self, rollouts: Iterable[tuple[Draw, int, Rollout]]) -> None:
        """Store rollouts, each with its draw and index."""
        for draw, index, rollout in rollouts:
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
