"""Draw rollouts in rounds: an annotator chooses its next prefixes from the rollouts it has seen."""

from collections.abc import Callable, Sequence

import polars as pl

from resources.sampling.completion_grading import CompletionGrader
from resources.sampling.request_source import with_completions
from resources.sampling.stage import without_calculations
from resources.storage.growing_frame import GrowingFrame
from shepherd.annotators.problem import Annotator, Rollout, SolvedProblem
from shepherd.scheduling import Draw, Scheduler
from shepherd.schemas import ROLLOUTS
from shepherd.settings import SplittingSettings
from shepherd.splitting import REASONING
from shepherd.thoughts import ends_in_thought

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
    """A :class:`RequestSource` of rollouts in rounds, which grades each as it finishes.

    It serves all annotators of a profile if one of them needs rounds. If all are ``monte_carlo``, a
    ``RequestList`` replaces it.
    """

    unit = "problem"

    def __init__(
        self,
        solved_problems: Sequence[SolvedProblem],
        annotators: Sequence[Annotator],
        problems: pl.DataFrame,
        to_requests: Callable[[pl.DataFrame], pl.DataFrame],
        splitting: SplittingSettings,
    ) -> None:
        """Begin with the first round of each annotator.

        Args:
            solved_problems: the problems with their solutions and steps.
            annotators: the annotators that request rollouts.
            problems: the table PROBLEMS, which gives the gold answers.
            to_requests: takes rows (prefix_id, problem_id, question, prefix, rollout_index), where
                ``rollout_index`` is a list; returns one request for each index, in order.
            splitting: whether calculations are removed from texts before they are graded, and
                whether prefixes may end in a thought.
        """
        self.total = len(solved_problems)
        self._scheduler = Scheduler(solved_problems, annotators)
        self._gold_answers = dict(problems.select("problem_id", "gold_answer").iter_rows())
        self._to_requests = to_requests
        self._splitting = splitting
        self._grader = CompletionGrader()
        self._num_finished = 0
        self._pending: dict[str, tuple[Draw, int]] = {}
        self._prefixes: dict[str, tuple[str, str]] = {}
        self._requests = GrowingFrame(_REQUESTS)
        self._graded = GrowingFrame(_GRADED)

    @property
    def num_done(self) -> int:
        """The number of problems for which no annotator requests more rollouts."""
        return self._scheduler.num_done

    @property
    def num_left(self) -> int | None:
        """The number of requests to come, if each problem needs as many as those that are done."""
        if not self.num_done:
            return None
        expected = self.total * self._scheduler.num_rollouts_done / self.num_done
        return max(len(self._pending), round(expected) - self._num_finished)

    def take(self, count: int) -> pl.DataFrame:
        """Return up to ``count`` requests, those of problems in flight first."""
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
        rollouts = ((draw, index) for draw in draws for index in draw.indices)
        self._pending.update(zip(requests["id"], rollouts, strict=True))
        self._prefixes.update(
            (draw.prefix_id, (draw.problem.problem_id, draw.prefix)) for draw in draws
        )
        self._requests.add(requests)
        return requests

    def add_completions(self, completions: pl.DataFrame) -> None:
        """Grade finished rollouts and pass them to the scheduler."""
        draws = [self._pending.pop(request_id) for request_id in completions["request_id"]]
        gold_answers = [self._gold_answers[draw.problem.problem_id] for draw, _ in draws]
        is_reasoning = self._splitting.method == REASONING
        in_thought = [is_reasoning and ends_in_thought(draw.prefix) for draw, _ in draws]
        graded = self._grader.grade(
            without_calculations(completions, self._splitting).with_columns(
                pl.Series("gold_answer", gold_answers, dtype=pl.String),
                pl.Series("begins_in_thought", in_thought, dtype=pl.Boolean),
            )
        )
        self._graded.add(graded)
        self._num_finished += graded.height
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
        """Return ROLLOUTS once all are finished, sorted by problem, prefix and index."""
        results = with_completions(self._requests.frame(), self._graded.frame())
        ordered = sorted(self._prefixes, key=self._prefixes.__getitem__)
        prefix_ids = pl.DataFrame({"prefix_id": ordered}, schema={"prefix_id": pl.String})
        return (
            results.join(prefix_ids.with_row_index("prefix_rank"), on="prefix_id")
            .sort("prefix_rank", "rollout_index")
            .with_columns(completer=pl.lit(completer))
            .select(ROLLOUTS.schema.keys())
        )
