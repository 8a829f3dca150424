"""Search at test time: a process reward model guides the sampling, step by step.

In each round several next steps are drawn for every live path of a problem. The reward model scores
them, and the best paths continue. Beam search keeps the best of all paths (arXiv 2408.03314).
Diverse verifier tree search (DVTS) splits the budget into independent trees and keeps the best
paths of each (Beeching, Tunstall and Rush, "Scaling test-time compute with open models", 2024).
Both draw ``num_paths`` steps a round, as many as best-of-N with N = ``num_paths``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shepherd.identity import content_id, derive_seed
from shepherd.prompts import build_prompt
from shepherd.requests import Completion, Request

SearchMethod = Literal["beam", "dvts"]


@dataclass(frozen=True)
class Search:
    """Parameters of a search: ``num_paths`` steps a round, ``width`` of each path that continues.

    A step ends at ``stop``. A path is dropped if it has not finished after ``max_rounds`` rounds,
    or if a step reaches ``max_tokens``.

    Raises:
        ValueError: ``width`` does not divide ``num_paths``.
    """

    method: SearchMethod
    num_paths: int
    width: int = 4
    temperature: float = 0.7
    max_tokens: int = 512
    max_rounds: int = 40
    stop: str = "\n"

    def __post_init__(self) -> None:
        if self.num_paths % self.width:
            raise ValueError(
                f"search: num_paths is {self.num_paths} and width {self.width}: make num_paths a "
                "multiple of width"
            )

    @property
    def num_trees(self) -> int:
        """Number of trees that share the budget."""
        return self.num_paths // self.width if self.method == "dvts" else 1

    @property
    def num_kept(self) -> int:
        """Number of paths of a tree that continue after a round."""
        return self.num_paths // self.width // self.num_trees


@dataclass(frozen=True)
class Path:
    """A partial solution, and its score by the reward model: 0 before scoring, -inf if unscored."""

    text: str
    is_finished: bool = False
    score: float = 0.0


@dataclass
class _Tree:
    """The best paths of a tree, best first. Finished ones take a place but are not continued."""

    paths: list[Path]

    @property
    def live(self) -> list[Path]:
        return [path for path in self.paths if not path.is_finished]


@dataclass
class ProblemSearch:
    """The search for one problem's solution.

    ``finished`` holds all distinct finished solutions by text, also those that a tree dropped.
    """

    problem_id: str
    question: str
    search: Search
    num_tokens: int = 0
    finished: dict[str, Path] = field(default_factory=dict)
    _trees: list[_Tree] = field(default_factory=list)
    _round: int = 0

    def __post_init__(self) -> None:
        self._trees = [_Tree([Path("")]) for _ in range(self.search.num_trees)]

    @property
    def is_done(self) -> bool:
        """Whether no path continues."""
        return self._round == self.search.max_rounds or not any(tree.live for tree in self._trees)

    @property
    def best(self) -> Path | None:
        """The finished path with the highest score, the first of equal ones; None without any."""
        return max(self.finished.values(), key=lambda path: path.score, default=None)

    def requests(self, template: str, run_seed: int) -> list[Request]:
        """Return the requests of the next round, one for each step to draw, by tree and path."""
        identity = content_id(self.search.method, self.problem_id)
        requests: list[Request] = []
        for place, path in self._places():
            index = self._round * self.search.num_paths + len(requests)
            requests.append(
                Request(
                    f"{self.problem_id}:{place}:{index}",
                    build_prompt(template, self.question, path.text),
                    derive_seed(run_seed, "search", identity, index),
                    self.search.temperature,
                    self.search.max_tokens,
                    (self.search.stop,),
                    keep_stop=True,
                    prefix_length=len(path.text),
                )
            )
        return requests

    def drawn(self, completions: Sequence[Completion]) -> list[list[Path]]:
        """Return each tree's new paths, given the completions of ``requests`` in order.

        Equal paths of a tree are one path.
        """
        self._round += 1
        self.num_tokens += sum(completion.num_tokens for completion in completions)
        new_paths: list[dict[str, Path]] = [{} for _ in self._trees]
        for (place, path), completion in zip(self._places(), completions, strict=True):
            text = path.text + completion.text
            is_finished = not completion.text.endswith(self.search.stop)
            if completion.finish_reason == "stop":
                new_paths[place].setdefault(text, Path(text, is_finished))
        return [list(paths.values()) for paths in new_paths]

    def select(self, scored: Sequence[Sequence[Path]]) -> None:
        """Keep the best of each tree's new and finished paths."""
        for tree, fresh in zip(self._trees, scored, strict=True):
            ended = [path for path in tree.paths if path.is_finished]
            pool = {path.text: path for path in [*ended, *fresh]}
            ranked = sorted(pool.values(), key=lambda path: -path.score)
            tree.paths = ranked[: self.search.num_kept]
            self.finished.update({path.text: path for path in fresh if path.is_finished})

    def _places(self) -> Iterator[tuple[int, Path]]:
        """Yield tree and path of each step to draw, the live paths of a tree in turn.

        Finished paths draw nothing. If equal paths were merged, the others draw their steps.
        """
        for place, tree in enumerate(self._trees):
            num_live = len(tree.live)
            num_finished = len(tree.paths) - num_live
            num_drawn = self.search.width * (self.search.num_kept - num_finished)
            for draw in range(num_drawn if num_live else 0):
                yield place, tree.live[draw % num_live]
