"""Draw whole solutions of problems: samples to label, candidates to verify, greedy solutions.

Solutions that ``lake`` holds, drawn under the stage's fingerprint, are not drawn again: they are
graded anew (:mod:`resources.sampling.earlier`).
"""

from collections.abc import Callable
from functools import partial

import polars as pl

from resources.sampling.earlier import earlier_solutions
from resources.sampling.request_source import RequestList
from resources.sampling.stage import CompletionModel, Shard, Stage, StageOutput
from resources.storage.lake import Lake
from shepherd.rollouts import (
    collect_candidates,
    collect_greedy,
    collect_solutions,
    solution_requests,
)
from shepherd.schemas import CANDIDATES, GREEDY_SOLUTIONS, SOLUTIONS, Table
from shepherd.settings import SamplingSettings


def draw_solutions(
    problems: pl.DataFrame,
    generator: CompletionModel,
    sampling: SamplingSettings,
    shard: Shard,
    lake: Lake | None = None,
) -> StageOutput:
    """Draw ``samples_per_problem`` solutions of each problem; SOLUTIONS and SOLUTION_COSTS."""
    stage = _sampling_stage(SOLUTIONS, generator, sampling, shard)
    return _draw(stage, problems, sampling.samples_per_problem, collect_solutions, lake)


def draw_candidates(
    problems: pl.DataFrame,
    generator: CompletionModel,
    sampling: SamplingSettings,
    shard: Shard,
    lake: Lake | None = None,
) -> StageOutput:
    """Draw ``num_candidates`` solutions of each problem; CANDIDATES and CANDIDATE_COSTS."""
    stage = _sampling_stage(CANDIDATES, generator, sampling, shard)
    return _draw(stage, problems, sampling.num_candidates, collect_candidates, lake)


def draw_greedily(
    problems: pl.DataFrame,
    generator: CompletionModel,
    sampling: SamplingSettings,
    shard: Shard,
    lake: Lake | None = None,
) -> StageOutput:
    """Draw one solution of each problem at temperature 0; GREEDY_SOLUTIONS, without its cost."""
    stage = Stage(GREEDY_SOLUTIONS, generator, shard, 0.0, sampling.max_tokens)
    collect = partial(collect_greedy, method=shard.splitting.rule)
    return _draw(stage, problems, 1, collect, lake)


def _sampling_stage(
    table: Table, generator: CompletionModel, sampling: SamplingSettings, shard: Shard
) -> Stage:
    return Stage(table, generator, shard, sampling.temperature, sampling.max_tokens, sampling.top_p)


def _draw(
    stage: Stage,
    problems: pl.DataFrame,
    num_samples: int,
    collect: Callable[[pl.DataFrame, str], pl.DataFrame],
    lake: Lake | None,
) -> StageOutput:
    requests = solution_requests(
        problems,
        stage=stage.table.name,
        template=stage.model.template,
        generator=stage.model.name,
        run_seed=stage.shard.run_seed,
        num_samples=num_samples,
        temperature=stage.temperature,
        max_tokens=stage.max_tokens,
    )
    source = RequestList(stage.with_endings(requests))
    cost = stage.draw(source, earlier_solutions(lake, stage, requests) if lake else None)

    def collect_whole(drawn: pl.DataFrame, model: str) -> pl.DataFrame:
        return collect(stage.with_opening(drawn), model)

    return stage.output(stage.graded_rows(source, collect_whole, problems), cost)
