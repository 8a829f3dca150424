"""The sampling stages: problems and steps in, graded draws and their cost out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import polars as pl

from resources.earlier import earlier_rollouts
from resources.engines import open_engine
from resources.engines.checkpoints import load_template
from resources.journal import Fingerprint
from resources.lake import Lake
from resources.sampling import (
    Cost,
    Fixed,
    Grader,
    Source,
    grade_completions,
    sample,
)
from shepherd.annotators.judge import collect_critiques, judge_requests
from shepherd.annotators.problem import Annotator, Problem, Rollout, read_problems
from shepherd.identity import content_id
from shepherd.requests import Completion, Engine, Request
from shepherd.rollouts import (
    collect_candidates,
    collect_greedy,
    collect_rollouts,
    collect_solutions,
    rollout_requests,
    solution_requests,
)
from shepherd.scheduling import Draw, Scheduler
from shepherd.schemas import (
    CANDIDATES,
    CRITIQUES,
    GREEDY_SOLUTIONS,
    ROLLOUT_COSTS,
    ROLLOUTS,
    SOLUTIONS,
    Table,
)
from shepherd.settings import (
    DEFAULT_SPLITTING,
    EngineSettings,
    JudgeSettings,
    ModelSettings,
    SamplingSettings,
    SplittingSettings,
)


@dataclass(frozen=True)
class Sampler:
    """A model that can be drawn from; its weights are loaded when ``open_engine`` is called.

    ``fingerprint`` names what its draws depend on beside the request: weights and precision.
    """

    name: str
    template: str
    fingerprint: Fingerprint
    open_engine: Callable[[], Engine]


@dataclass(frozen=True)
class Shard:
    """What is sampled, and where its journals lie: ``folder/<stage>/<dataset>/<shard>/``.

    Journals hold completions as they were drawn; ``splitting`` says what is kept of them.
    """

    dataset: str
    key: str
    journals: Path
    run_seed: int
    splitting: SplittingSettings = DEFAULT_SPLITTING

    def journal(self, stage: str, model: str) -> Path:
        """Return the journal of one model's draws."""
        return self.journals / stage / self.dataset / self.key / f"{model}.jsonl"


@dataclass(frozen=True)
class Drawn:
    """Graded draws, and what they cost: one row of a cost table."""

    frame: pl.DataFrame
    cost: pl.DataFrame


def sampler_of(
    name: str, model: ModelSettings, checkpoint: str | Path, engine: EngineSettings
) -> Sampler:
    """Return the sampler of a checkpoint folder or hub name, on the profile's engine.

    Raises:
        ValueError: the template is the model's own chat template, and there is none.
    """
    template = load_template(model.template, checkpoint)
    return Sampler(
        name, template, engine_identity(engine, checkpoint), lambda: open_engine(engine, checkpoint)
    )


def engine_identity(engine: EngineSettings, checkpoint: str | Path) -> Fingerprint:
    """Return what draws depend on beside their requests: weights, kind of engine, precision.

    Where servers stand does not matter, and their precision is not known here.
    """
    identity = {"weights": weights_identity(checkpoint), "engine": engine.kind}
    if engine.kind != "openai":
        identity["dtype"] = engine.dtype
    return identity


def weights_identity(checkpoint: str | Path) -> str:
    """Return a hash that changes when a checkpoint is written anew; a hub name is its own.

    It is of the files' names, sizes and times, as weights can be hundreds of gigabytes.
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        return str(checkpoint)
    stats = [(file.name, file.stat()) for file in sorted(folder.iterdir()) if file.is_file()]
    return content_id(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats))


def draw_solutions(
    problems: pl.DataFrame, sampler: Sampler, sampling: SamplingSettings, shard: Shard
) -> Drawn:
    """Draw ``samples_per_problem`` solutions of each problem; SOLUTIONS and SOLUTION_COSTS."""
    return _draw_fixed(
        SOLUTIONS,
        collect_solutions,
        problems,
        sampler,
        sampling,
        shard,
        sampling.samples_per_problem,
    )


def draw_candidates(
    problems: pl.DataFrame, sampler: Sampler, sampling: SamplingSettings, shard: Shard
) -> Drawn:
    """Draw ``num_candidates`` solutions of each problem; CANDIDATES and CANDIDATE_COSTS."""
    return _draw_fixed(
        CANDIDATES, collect_candidates, problems, sampler, sampling, shard, sampling.num_candidates
    )


def draw_greedily(
    problems: pl.DataFrame, sampler: Sampler, sampling: SamplingSettings, shard: Shard
) -> Drawn:
    """Draw the likeliest solution of each problem; GREEDY_SOLUTIONS, whose cost no table keeps."""
    likeliest = sampling.model_copy(update={"temperature": 0.0})
    collect = partial(collect_greedy, method=shard.splitting.method)
    return _draw_fixed(GREEDY_SOLUTIONS, collect, problems, sampler, likeliest, shard, 1)


def draw_rollouts(
    steps: pl.DataFrame,
    solutions: pl.DataFrame,
    problems: pl.DataFrame,
    annotators: Sequence[Annotator],
    sampler: Sampler,
    sampling: SamplingSettings,
    shard: Shard,
    lake: Lake | None = None,
) -> Drawn:
    """Draw the rollouts that the annotators ask for; ROLLOUTS and ROLLOUT_COSTS.

    What ``lake`` holds of them, drawn under the same settings, is not drawn again. What it holds
    beyond them is not returned: a smaller N drops the surplus.
    """
    gold = dict(problems.select("problem_id", "gold_answer").iter_rows())
    source = Rolling(
        read_problems(steps, solutions, problems), annotators, gold, sampler, sampling, shard
    )
    temperature = sampling.rollout_temperature
    fingerprint = _fingerprint(sampler, shard, temperature, sampling.max_tokens)
    calculations = shard.splitting.calculations
    place = shard.dataset, shard.key, sampler.name
    earlier = earlier_rollouts(lake, *place, fingerprint, calculations) if lake else {}
    cost = _sample(ROLLOUTS, source, sampler, shard, fingerprint, earlier)
    served = steps.filter(~pl.col("is_last")).group_by("prefix_id").len("num_steps_served")
    rollouts = source.rollouts()
    merged = rollouts.join(served, on="prefix_id")["num_steps_served"].cast(pl.Int64) - 1
    num_spared = max(0, served.height * sampling.num_rollouts - rollouts.height)
    return Drawn(rollouts, _costs(ROLLOUTS, cost, sampler, shard, int(merged.sum()), num_spared))


def draw_critiques(
    steps: pl.DataFrame,
    problems: pl.DataFrame,
    sampler: Sampler,
    judge: JudgeSettings,
    shard: Shard,
) -> Drawn:
    """Draw ``num_votes`` critiques of each solution; CRITIQUES and CRITIQUE_COSTS."""
    requests = judge_requests(
        steps,
        problems,
        template=sampler.template,
        run_seed=shard.run_seed,
        num_votes=judge.num_votes,
        temperature=judge.temperature,
        max_tokens=judge.max_tokens,
    )
    source = Fixed(requests)
    fingerprint = _fingerprint(sampler, shard, judge.temperature, judge.max_tokens)
    cost = _sample(CRITIQUES, source, sampler, shard, fingerprint)
    critiques = collect_critiques(requests, source.completions, steps, sampler.name)
    return Drawn(critiques, _costs(CRITIQUES, cost, sampler, shard))


class Rolling:
    """The rollouts that annotators ask for, as a source of requests; grades what comes."""

    unit = "problem"

    def __init__(
        self,
        problems: Sequence[Problem],
        annotators: Sequence[Annotator],
        gold: Mapping[str, str],
        sampler: Sampler,
        sampling: SamplingSettings,
        shard: Shard,
    ) -> None:
        self.total = len(problems)
        self._scheduler = Scheduler(problems, annotators)
        self._gold = gold
        self._grader = Grader()
        self._completer = sampler.name
        self._kept = shard.splitting.kept
        self._to_requests = partial(
            rollout_requests,
            template=sampler.template,
            run_seed=shard.run_seed,
            temperature=sampling.rollout_temperature,
            max_tokens=sampling.max_tokens,
        )
        self._draws: list[Draw] = []
        self._num_asked = 0
        self._awaited: dict[str, _Awaited] = {}
        self._found = Rows(_FOUND)

    @property
    def num_done(self) -> int:
        """How many problems are fully rolled out."""
        return self._scheduler.num_done

    def take(self, count: int) -> list[Request]:
        """Return requests in the scheduler's order."""
        requests: list[Request] = []
        for draw in self._scheduler.take(count):
            asked = self._to_requests(draw)
            for row, (index, request) in enumerate(zip(draw.indices, asked, strict=True)):
                self._awaited[request.id] = draw, index, self._num_asked + row, request.seed
            self._draws.append(draw)
            self._num_asked += len(asked)
            requests += asked
        return requests

    def tell(self, completions: Sequence[Completion]) -> None:
        """Grade what finished and hand it to the scheduler."""
        awaited = [self._awaited.pop(completion.request_id) for completion in completions]
        draws, indices, rows, seeds = zip(*awaited, strict=True)
        texts = [self._kept(completion.text) for completion in completions]
        finish_reasons = [completion.finish_reason for completion in completions]
        num_tokens = [completion.num_tokens for completion in completions]
        golds = [self._gold[draw.problem.problem_id] for draw in draws]
        grades = self._grader.grade(golds, texts, finish_reasons)
        answers, are_correct, reasons = zip(*grades, strict=True)
        self._found.extend(
            rows, texts, answers, are_correct, reasons, finish_reasons, num_tokens, seeds
        )
        are_errors = [finish_reason == "error" for finish_reason in finish_reasons]
        rollouts = map(Rollout, are_correct, texts, num_tokens, are_errors)
        self._scheduler.tell(zip(draws, indices, rollouts, strict=True))

    def rollouts(self) -> pl.DataFrame:
        """Return all that was asked for, by problem, prefix and index."""
        found = self._found.frame().sort("row").drop("row")
        return collect_rollouts(self._draws, found, self._completer)


_Awaited = tuple[Draw, int, int, int]
"""Of a request in hand: its draw, the index in it, its place among all requests, and its seed."""

_FOUND = {
    "row": pl.Int64(),
    **{
        name: ROLLOUTS.schema[name]
        for name in (
            "text", "answer", "is_correct", "grade_reason", "finish_reason", "num_tokens", "seed"
        )
    },
}  # fmt: skip


class Rows:
    """Rows that come a few at a time, kept as frames: Python objects take ten times the memory."""

    CHUNK = 8192

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._schema = schema
        self._columns: list[list[object]] = [[] for _ in schema]
        self._frames = [pl.DataFrame(schema=schema)]

    def extend(self, *columns: Sequence[object]) -> None:
        """Append rows, given by their columns in the order of the schema."""
        for column, more in zip(self._columns, columns, strict=True):
            column.extend(more)
        if len(self._columns[0]) >= self.CHUNK:
            self._to_frame()

    def frame(self) -> pl.DataFrame:
        """Return all rows in the order in which they came."""
        self._to_frame()
        return pl.concat(self._frames)

    def _to_frame(self) -> None:
        columns = dict(zip(self._schema, self._columns, strict=True))
        self._frames.append(pl.DataFrame(columns, schema=self._schema))
        for column in self._columns:
            column.clear()


def _draw_fixed(
    table: Table,
    collect: Callable[[Sequence[Request], Sequence[Completion], str], pl.DataFrame],
    problems: pl.DataFrame,
    sampler: Sampler,
    sampling: SamplingSettings,
    shard: Shard,
    num_samples: int,
) -> Drawn:
    requests = solution_requests(
        problems,
        stage=table.name,
        template=sampler.template,
        generator=sampler.name,
        run_seed=shard.run_seed,
        num_samples=num_samples,
        temperature=sampling.temperature,
        max_tokens=sampling.max_tokens,
    )
    source = Fixed(requests)
    fingerprint = _fingerprint(sampler, shard, sampling.temperature, sampling.max_tokens)
    cost = _sample(table, source, sampler, shard, fingerprint)
    kept = [one._replace(text=shard.splitting.kept(one.text)) for one in source.completions]
    collected = collect(requests, kept, sampler.name)
    graded = grade_completions(collected, problems).select(table.schema.keys())
    return Drawn(graded, _costs(table, cost, sampler, shard))


def _fingerprint(
    sampler: Sampler, shard: Shard, temperature: float, max_tokens: int
) -> Fingerprint:
    return {
        **sampler.fingerprint,
        "template": sampler.template,
        "seed": shard.run_seed,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


def _sample(
    table: Table,
    source: Source,
    sampler: Sampler,
    shard: Shard,
    fingerprint: Fingerprint,
    earlier: Mapping[str, Completion] | None = None,
) -> Cost:
    return sample(
        sampler.open_engine,
        source,
        shard.journal(table.name, sampler.name),
        fingerprint=fingerprint,
        description=f"{table.name} {shard.dataset} {shard.key} {sampler.name}",
        earlier=earlier,
    )


def _costs(
    table: Table,
    cost: Cost,
    sampler: Sampler,
    shard: Shard,
    num_merged: int = 0,
    num_spared: int = 0,
) -> pl.DataFrame:
    row = {
        "stage": table.name,
        "dataset": shard.dataset,
        "shard": shard.key,
        "model": sampler.name,
        "num_merged": num_merged,
        "num_spared": num_spared,
        **asdict(cost),
    }
    # All cost tables have the same columns.
    return pl.DataFrame([row], schema=ROLLOUT_COSTS.schema)
