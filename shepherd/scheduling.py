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

from shepherd.annotators.problem import Annotator, Problem, Replay, Rollout
from shepherd.identity import content_id


class Draw(NamedTuple):
    """The rollout of this index of this prefix; ``request_id`` names it in a journal."""

    problem: Problem
    prefix: str
    prefix_id: str
    rollout_index: int

    @property
    def request_id(self) -> str:
        """Return ``<prefix_id>:<index>``."""
        return f"{self.prefix_id}:{self.rollout_index}"


@dataclass
class _Open:
    """A problem in work: its annotators' views, what was drawn, and what is under way."""

    problem: Problem
    replays: list[Replay]
    drawn: dict[str, dict[int, Rollout]] = field(default_factory=dict)
    num_awaited: int = 0

    def next_draws(self) -> Iterator[Draw]:
        """Show the annotators the finished round; yield what they ask for and was not drawn."""
        pool = {
            prefix_id: [found[index] for index in range(len(found))]
            for prefix_id, found in self.drawn.items()
        }
        wanted: dict[str, int] = {}
        for replay in self.replays:
            for prefix, count in replay.advance(pool).items():
                wanted[prefix] = max(count, wanted.get(prefix, 0))
        for prefix in sorted(wanted):
            prefix_id = content_id(self.problem.problem_id, prefix)
            for index in range(len(pool.get(prefix_id, ())), wanted[prefix]):
                self.num_awaited += 1
                yield Draw(self.problem, prefix, prefix_id, index)


class Scheduler:
    """Hands out draws in the order of the problems; a problem in work goes before a new one."""

    def __init__(self, problems: Iterable[Problem], annotators: Sequence[Annotator]) -> None:
        self.num_done = 0
        self._annotators = annotators
        self._waiting = iter(problems)
        self._open: dict[str, _Open] = {}
        self._ready: deque[Draw] = deque()

    def take(self, count: int) -> list[Draw]:
        """Return up to ``count`` draws to make now.

        Fewer where all problems wait for draws in the caller's hands; none and nothing in the
        caller's hands means that all is done.
        """
        while len(self._ready) < count:
            problem = next(self._waiting, None)
            if problem is None:
                break
            replays = [Replay(annotator, problem) for annotator in self._annotators]
            self._go_on(_Open(problem, replays), first=False)
        return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]

    def tell(self, draw: Draw, rollout: Rollout) -> None:
        """Take in what came of a draw."""
        problem = self._open[draw.problem.problem_id]
        problem.drawn.setdefault(draw.prefix_id, {})[draw.rollout_index] = rollout
        problem.num_awaited -= 1
        if problem.num_awaited == 0:
            self._go_on(problem, first=True)

    def _go_on(self, problem: _Open, *, first: bool) -> None:
        draws = list(problem.next_draws())
        if first:
            self._ready.extendleft(reversed(draws))
        else:
            self._ready.extend(draws)
        if draws:
            self._open[problem.problem.problem_id] = problem
        else:
            self._open.pop(problem.problem.problem_id, None)
            self.num_done += 1
