"""Schedule the rollouts of annotators that decide by rollouts what to roll out next."""

from collections.abc import Callable, Sequence

import polars as pl

from resources.sampling.completion_grading import CompletionGrader
from resources.sampling.request_source import with_completions
from resources.sampling.stage import stripped
from resources.storage.growing_frame import GrowingFrame
from shepherd.annotators.problem import Annotator, Rollout, SolvedProblem
from shepherd.scheduling import Draw, Scheduler
from shepherd.schemas import ROLLOUTS
from shepherd.settings import SplittingSettings

_PREFIXES = pl.Schema(
    {
        "prefix_id": pl.String(),
        "problem_id": pl.String(),
        "question": pl.String(),
        "prefix": pl.String(),
        "start": pl.Int64(),
        "stop": pl.Int64(),
    }
)
"""A prefix and the range of its rollout indices to draw, ``start`` included, ``stop`` not."""

_REQUESTS = pl.Schema(
    {
        "id": pl.String(),
        **{
            name: ROLLOUTS.schema[name]
            for name in ("prefix_id", "problem_id", "rollout_index", "seed")
        },
    }
)
_GRADED = pl.Schema(
    {
        "request_id": pl.String(),
        **{
            name: ROLLOUTS.schema[name]
            for name in (
                "text",
                "answer",
                "is_correct",
                "grade_reason",
                "finish_reason",
                "num_tokens",
            )
        },
    }
)


class RollingRequests:
    """A source of the rollouts that annotators ask for; grades them as they finish."""

    unit = "problem"

    def __init__(
        self,
        gathered: Sequence[SolvedProblem],
        annotators: Sequence[Annotator],
        problems: pl.DataFrame,
        to_requests: Callable[[pl.DataFrame], pl.DataFrame],
        splitting: SplittingSettings,
    ) -> None:
        """Begin with the first round of each annotator.

        Args:
            gathered: the problems with their solutions and steps.
            annotators: ask for rollouts in rounds.
            problems: the table PROBLEMS, for questions and gold answers.
            to_requests: makes requests of prefixes with lists of rollout indices.
            splitting: what is stripped from texts before they are graded.
        """
        self.total = len(gathered)
        self._scheduler = Scheduler(gathered, annotators)
        self._gold = dict(problems.select("problem_id", "gold_answer").iter_rows())
        self._to_requests = to_requests
        self._splitting = splitting
        self._grader = CompletionGrader()
        self._pending: dict[str, tuple[Draw, int]] = {}
        self._prefixes: dict[str, tuple[str, str]] = {}
        self._requests = GrowingFrame(_REQUESTS)
        self._graded = GrowingFrame(_GRADED)

    @property
    def num_done(self) -> int:
        """The number of problems whose rollouts are all drawn."""
        return self._scheduler.num_done

    def take(self, count: int) -> pl.DataFrame:
        """Return up to ``count`` requests in the scheduler's order."""
        draws = self._scheduler.take(count)
        columns = {
            "prefix_id": [draw.prefix_id for draw in draws],
            "problem_id": [draw.problem.problem_id for draw in draws],
            "question": [draw.problem.question for draw in draws],
            "prefix": [draw.prefix for draw in draws],
            "start": [draw.indices.start for draw in draws],
            "stop": [draw.indices.stop for draw in draws],
        }
        prefixes = pl.DataFrame(columns, schema=_PREFIXES)
        requests = self._to_requests(
            prefixes.with_columns(rollout_index=pl.int_ranges("start", "stop"))
        )
        each = ((draw, index) for draw in draws for index in draw.indices)
        self._pending.update(zip(requests["id"], each, strict=True))
        self._prefixes.update(
            (draw.prefix_id, (draw.problem.problem_id, draw.prefix)) for draw in draws
        )
        self._requests.add(requests)
        return requests

    def add_completions(self, completions: pl.DataFrame) -> None:
        """Grade finished rollouts and hand them to the scheduler."""
        draws = [self._pending.pop(name) for name in completions["request_id"]]
        golds = [self._gold[draw.problem.problem_id] for draw, _ in draws]
        graded = self._grader.grade(
            stripped(completions, self._splitting).with_columns(
                pl.Series("gold_answer", golds, dtype=pl.String)
            )
        )
        self._graded.add(graded)
        rollouts = map(
            Rollout,
            graded["is_correct"],
            graded["text"],
            graded["num_tokens"],
            graded["finish_reason"] == "error",
        )
        self._scheduler.record(
            (draw, index, rollout) for (draw, index), rollout in zip(draws, rollouts, strict=True)
        )

    def rollouts(self, completer: str) -> pl.DataFrame:
        """Return all rollouts as ROLLOUTS, by problem, prefix and index."""
        results = with_completions(self._requests.frame(), self._graded.frame())
        ordered = sorted(self._prefixes, key=self._prefixes.__getitem__)
        places = pl.DataFrame({"prefix_id": ordered}, schema={"prefix_id": pl.String})
        return (
            results.join(places.with_row_index("place"), on="prefix_id")
            .sort("place", "rollout_index")
            .with_columns(completer=pl.lit(completer))
            .select(ROLLOUTS.schema.keys())
        )
