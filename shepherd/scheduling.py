"""Order the rollouts of annotators that work in rounds, with many problems in flight.

The scheduler knows no engine. ``take`` returns the rollouts to draw next, and ``record`` accepts
those that were drawn. A problem waits until all rollouts of its round are recorded; meanwhile other
problems fill the engine's batch. Solutions that share a prefix share its rollouts, and so do
annotators.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shepherd.annotators.problem import Annotator, Replay, Rollout, SolvedProblem


class Draw(NamedTuple):
    """Rollouts to draw from one prefix, with consecutive indices."""

    problem: SolvedProblem
    prefix: str
    prefix_id: str
    indices: range


@dataclass
class _InFlight:
    """A problem with rollouts still to draw."""

    problem: SolvedProblem
    replays: list[Replay]
    """One for each annotator."""

    rollouts: dict[str, list[Rollout]] = field(default_factory=dict)
    """By prefix id; ``AWAITED`` stands for those that are not recorded yet."""

    num_awaited: int = 0

    def next_draws(self) -> Iterator[Draw]:
        """Pass the recorded rollouts to the annotators; yield the draws of their next round."""
        assert self.num_awaited == 0
        targets: dict[str, int] = {}
        for replay in self.replays:
            for prefix, count in replay.advance(self.rollouts).items():
                targets[prefix] = max(count, targets.get(prefix, 0))
        for prefix in sorted(targets):
            prefix_id = self.problem.prefix_id(prefix)
            rollouts = self.rollouts.setdefault(prefix_id, [])
            indices = range(len(rollouts), targets[prefix])
            if indices:
                rollouts += [AWAITED] * len(indices)
                self.num_awaited += len(indices)
                yield Draw(self.problem, prefix, prefix_id, indices)


AWAITED = Rollout(is_correct=False, text="", is_error=True)
"""A placeholder until the rollout is recorded. Annotators never receive it."""


class Scheduler:
    """Hand out draws by problem. The next rounds of problems in flight come before new problems."""

    def __init__(self, problems: Iterable[SolvedProblem], annotators: Sequence[Annotator]) -> None:
        self.num_done = 0
        self.num_rollouts_done = 0
        """The number of rollouts that the problems needed which are done."""
        self._annotators = annotators
        self._new_problems = iter(problems)
        self._in_flight: dict[str, _InFlight] = {}
        self._ready: deque[Draw] = deque()
        self._num_ready = 0

    def take(self, count: int) -> list[Draw]:
        """Return the next draws, of ``count`` rollouts in all; new problems fill the number.

        There are fewer only if no new problem is left and those in flight wait for rollouts. All
        problems are done if no draw is returned and the caller has recorded every rollout.
        """
        while self._num_ready < count:
            problem = next(self._new_problems, None)
            if problem is None:
                break
            replays = [Replay(annotator, problem) for annotator in self._annotators]
            self._start_round(_InFlight(problem, replays), is_urgent=False)
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
            state = self._in_flight[draw.problem.problem_id]
            state.rollouts[draw.prefix_id][index] = rollout
            state.num_awaited -= 1
            if state.num_awaited == 0:
                self._start_round(state, is_urgent=True)

    def _start_round(self, state: _InFlight, *, is_urgent: bool) -> None:
        """Queue the draws of a problem's next round, in front if urgent; without any it is done."""
        draws = list(state.next_draws())
        if is_urgent:
            self._ready.extendleft(reversed(draws))
        else:
            self._ready.extend(draws)
        self._num_ready += state.num_awaited
        if draws:
            self._in_flight[state.problem.problem_id] = state
        else:
            self._in_flight.pop(state.problem.problem_id, None)
            self.num_done += 1
            self.num_rollouts_done += sum(map(len, state.rollouts.values()))
