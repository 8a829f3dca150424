"""Draw the rollouts that annotators ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from resources.sampling.cost import Cost
from resources.sampling.earlier import earlier_rollouts
from resources.sampling.request_source import RequestList
from resources.sampling.rolling import RollingRequests
from resources.sampling.stage import CompletionModel, Shard, Stage, StageOutput
from resources.storage.lake import Lake
from shepherd.annotators.monte_carlo import known_rollouts
from shepherd.annotators.problem import Annotator, read_problems
from shepherd.rollouts import collect_rollouts, distinct_prefixes, rollout_requests
from shepherd.schemas import ROLLOUTS
from shepherd.settings import SamplingSettings
from shepherd.splitting import REASONING
from shepherd.thoughts import ends_in_thought


@dataclass(frozen=True)
class WrittenSolutions:
    """Solutions whose prefixes are completed: the tables PROBLEMS, SOLUTIONS and STEPS.

    ``problems`` may hold problems without solutions; ``steps`` are the steps to label.
    """

    problems: pl.DataFrame
    solutions: pl.DataFrame
    steps: pl.DataFrame


def rollout_stage(completer: CompletionModel, sampling: SamplingSettings, shard: Shard) -> Stage:
    """Return the stage that draws a completer's rollouts."""
    return Stage(
        ROLLOUTS,
        completer,
        shard,
        sampling.rollout_temperature,
        sampling.max_tokens,
        sampling.rollout_top_p,
    )


def draw_rollouts(
    stage: Stage,
    written: WrittenSolutions,
    annotators: Sequence[Annotator],
    lake: Lake | None = None,
) -> StageOutput:
    """Draw the rollouts that the annotators ask for; ROLLOUTS and ROLLOUT_COSTS.

    Rollouts that ``lake`` holds, drawn under the stage's fingerprint, are not drawn again. Those
    of them that no annotator asks for are not returned: a smaller N drops the surplus.
    """
    earlier = earlier_rollouts(lake, stage) if lake else None
    num_known = known_rollouts(annotators)
    if num_known is None:
        rollouts, cost = _draw_in_rounds(stage, written, annotators, earlier)
    else:
        rollouts, cost = _draw_known(stage, written, num_known, earlier)
    steps = written.steps.filter(~pl.col("is_last"))
    served = steps.group_by("prefix_id").len("num_steps_served")
    most = max((annotator.num_rollouts for annotator in annotators), default=0)
    num_spared = max(0, served.height * most - rollouts.height)
    num_merged = _num_merged(rollouts, served)
    return stage.output(rollouts, cost, num_merged=num_merged, num_spared=num_spared)


def _draw_in_rounds(
    stage: Stage,
    written: WrittenSolutions,
    annotators: Sequence[Annotator],
    earlier: pl.DataFrame | None,
) -> tuple[pl.DataFrame, Cost]:
    """Draw what the annotators ask for as they see more rollouts."""
    requests = RollingRequests(
        read_problems(written.steps, written.solutions, written.problems),
        annotators,
        written.problems,
        partial(_requests_of, stage),
        stage.shard.splitting,
    )
    cost = stage.draw(requests, earlier)
    return requests.rollouts(stage.model.name), cost


def _draw_known(
    stage: Stage, written: WrittenSolutions, num_rollouts: int, earlier: pl.DataFrame | None
) -> tuple[pl.DataFrame, Cost]:
    """Draw ``num_rollouts`` of each prefix: by columns, as there is nothing to schedule."""
    indices = pl.lit(list(range(num_rollouts)), pl.List(pl.Int64))
    prefixes = distinct_prefixes(written.steps, written.problems)
    requests = RequestList(_requests_of(stage, prefixes.with_columns(rollout_index=indices)))
    cost = stage.draw(requests, earlier)
    in_thought = None
    if stage.shard.splitting.method == REASONING:
        ids = prefixes.select("prefix_id", "prefix").iter_rows()
        opened = [prefix_id for prefix_id, prefix in ids if ends_in_thought(prefix)]
        in_thought = pl.col("prefix_id").is_in(opened)
    return stage.graded_rows(requests, collect_rollouts, written.problems, in_thought), cost


def _requests_of(stage: Stage, prefixes: pl.DataFrame) -> pl.DataFrame:
    requests = rollout_requests(
        prefixes,
        template=stage.model.template,
        run_seed=stage.shard.run_seed,
        temperature=stage.temperature,
        max_tokens=stage.max_tokens,
    )
    return stage.with_endings(requests)


def _num_merged(rollouts: pl.DataFrame, served: pl.DataFrame) -> int:
    """Return how many more rollouts there were if each step that a prefix serves had its own."""
    # Rollouts of a prefix are consecutive.
    runs = rollouts.select(pl.col("prefix_id").rle()).unnest("prefix_id")
    num_others = pl.col("num_steps_served").cast(pl.Int64) - 1
    joined = runs.join(served, left_on="value", right_on="prefix_id")
    return int(joined.select((num_others * pl.col("len")).sum()).item())
