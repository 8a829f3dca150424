"""Draw a judge's critiques of solutions."""

import polars as pl

from resources.sampling.request_source import RequestList
from resources.sampling.stage import CompletionModel, Shard, Stage, StageOutput
from shepherd.annotators.judge import collect_critiques, judge_requests
from shepherd.schemas import CRITIQUES
from shepherd.settings import JudgeSettings


def draw_critiques(
    steps: pl.DataFrame,
    problems: pl.DataFrame,
    judge: CompletionModel,
    settings: JudgeSettings,
    shard: Shard,
) -> StageOutput:
    """Draw ``num_votes`` critiques of each solution; CRITIQUES and CRITIQUE_COSTS."""
    stage = Stage(CRITIQUES, judge, shard, settings.temperature, settings.max_tokens)
    requests = RequestList(
        judge_requests(
            steps,
            problems,
            template=judge.template,
            run_seed=shard.run_seed,
            num_votes=settings.num_votes,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
        )
    )
    cost = stage.draw(requests)
    return stage.output(collect_critiques(requests.results(), steps, judge.name), cost)
