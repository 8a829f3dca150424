"""The sampling stages: problems and steps in, graded draws and their cost out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import polars as pl

from resources.engines import open_engine
from resources.engines.checkpoints import load_template
from resources.sampling.completions import (
    Cost,
    Fixed,
    Grader,
    Source,
    grade_completions,
    sample,
    with_completions,
)
from resources.sampling.earlier import earlier_rollouts
from resources.sampling.growing_frame import GrowingFrame
from resources.storage.journal import SUFFIX, Fingerprint
from resources.storage.lake import Lake
from resources.storage.weights import weights_identity
from shepherd.annotators.counting import known_rollouts
from shepherd.annotators.judge import collect_critiques, judge_requests
from shepherd.annotators.problem import Annotator, Problem, Rollout, read_problems
from shepherd.identity import SEEDING
from shepherd.requests import Engine
from shepherd.rollouts import (
    collect_candidates,
    collect_greedy,
    collect_rollouts,
    collect_solutions,
    distinct_prefixes,
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
        return self.journals / stage / self.dataset / self.key / f"{model}{SUFFIX}"


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
    to_requests = partial(
        rollout_requests,
        template=sampler.template,
        run_seed=shard.run_seed,
        temperature=sampling.rollout_temperature,
        max_tokens=sampling.max_tokens,
    )
    fingerprint = _fingerprint(sampler, shard, sampling.rollout_temperature, sampling.max_tokens)
    calculations = shard.splitting.calculations
    place = shard.dataset, shard.key, sampler.name
    earlier = earlier_rollouts(lake, *place, fingerprint, calculations) if lake else None
    num_known = known_rollouts(annotators)
    if num_known is None:
        rolling = Rolling(
            read_problems(steps, solutions, problems),
            annotators,
            dict(problems.select("problem_id", "gold_answer").iter_rows()),
            to_requests,
            shard.splitting,
        )
        cost = _sample(ROLLOUTS, rolling, sampler, shard, fingerprint, earlier)
        rollouts = rolling.rollouts(sampler.name)
    else:
        # There is nothing to schedule, so that no rollout needs to be touched by itself.
        indices = pl.lit(list(range(num_known)), pl.List(pl.Int64))
        prefixes = distinct_prefixes(steps, problems).with_columns(rollout_index=indices)
        known = Fixed(to_requests(prefixes))
        cost = _sample(ROLLOUTS, known, sampler, shard, fingerprint, earlier)
        rollouts = _graded(ROLLOUTS, collect_rollouts, known, problems, sampler, shard)
    served = steps.filter(~pl.col("is_last")).group_by("prefix_id").len("num_steps_served")
    num_spared = max(0, served.height * sampling.num_rollouts - rollouts.height)
    num_merged = _num_merged(rollouts, served)
    return Drawn(rollouts, _costs(ROLLOUTS, cost, sampler, shard, num_merged, num_spared))


def _num_merged(rollouts: pl.DataFrame, served: pl.DataFrame) -> int:
    """Return how many more rollouts there were if each step that a prefix serves had its own."""
    # Rollouts of a prefix stand together.
    drawn = rollouts.select(pl.col("prefix_id").rle()).unnest("prefix_id")
    others = pl.col("num_steps_served").cast(pl.Int64) - 1
    joined = drawn.join(served, left_on="value", right_on="prefix_id")
    return int(joined.select((others * pl.col("len")).sum()).item())


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
    critiques = collect_critiques(source.drawn(), steps, sampler.name)
    return Drawn(critiques, _costs(CRITIQUES, cost, sampler, shard))


class Rolling:
    """The rollouts that annotators ask for, as a source of requests; grades what comes."""

    unit = "problem"

    def __init__(
        self,
        problems: Sequence[Problem],
        annotators: Sequence[Annotator],
        gold: Mapping[str, str],
        to_requests: Callable[[pl.DataFrame], pl.DataFrame],
        splitting: SplittingSettings,
    ) -> None:
        self.total = len(problems)
        self._scheduler = Scheduler(problems, annotators)
        self._gold = gold
        self._to_requests = to_requests
        self._splitting = splitting
        self._grader = Grader()
        self._awaited: dict[str, tuple[Draw, int]] = {}
        self._prefixes: dict[str, tuple[str, str]] = {}
        self._asked = GrowingFrame(_ASKED)
        self._found = GrowingFrame(_FOUND)

    @property
    def num_done(self) -> int:
        """How many problems are fully rolled out."""
        return self._scheduler.num_done

    def take(self, count: int) -> pl.DataFrame:
        """Return requests in the scheduler's order."""
        draws = self._scheduler.take(count)
        columns = {
            "prefix_id": [draw.prefix_id for draw in draws],
            "problem_id": [draw.problem.problem_id for draw in draws],
            "question": [draw.problem.question for draw in draws],
            "prefix": [draw.prefix for draw in draws],
            "start": [draw.indices.start for draw in draws],
            "stop": [draw.indices.stop for draw in draws],
        }
        prefixes = pl.DataFrame(columns, schema=_DRAWS)
        requests = self._to_requests(
            prefixes.with_columns(rollout_index=pl.int_ranges("start", "stop"))
        )
        each = ((draw, index) for draw in draws for index in draw.indices)
        self._awaited.update(zip(requests["id"], each, strict=True))
        self._prefixes.update(
            (draw.prefix_id, (draw.problem.problem_id, draw.prefix)) for draw in draws
        )
        self._asked.add(requests)
        return requests

    def tell(self, completions: pl.DataFrame) -> None:
        """Grade what finished and hand it to the scheduler."""
        awaited = [self._awaited.pop(name) for name in completions["request_id"]]
        golds = [self._gold[draw.problem.problem_id] for draw, _ in awaited]
        kept = _kept(completions, self._splitting)
        graded = self._grader.grade(
            kept.with_columns(pl.Series("gold_answer", golds, dtype=pl.String))
        )
        self._found.add(graded)
        rollouts = map(
            Rollout,
            graded["is_correct"],
            graded["text"],
            graded["num_tokens"],
            graded["finish_reason"] == "error",
        )
        told = zip(awaited, rollouts, strict=True)
        self._scheduler.tell((draw, index, rollout) for (draw, index), rollout in told)

    def rollouts(self, completer: str) -> pl.DataFrame:
        """Return all that was asked for, by problem, prefix and index."""
        drawn = with_completions(self._asked.frame(), self._found.frame())
        ordered = sorted(self._prefixes, key=self._prefixes.__getitem__)
        places = pl.DataFrame({"prefix_id": ordered}, schema={"prefix_id": pl.String})
        return (
            drawn.join(places.with_row_index("place"), on="prefix_id")
            .sort("place", "rollout_index")
            .with_columns(completer=pl.lit(completer))
            .select(ROLLOUTS.schema.keys())
        )


_DRAWS = pl.Schema(
    {
        "prefix_id": pl.String(),
        "problem_id": pl.String(),
        "question": pl.String(),
        "prefix": pl.String(),
        "start": pl.Int64(),
        "stop": pl.Int64(),
    }
)
_ASKED = pl.Schema(
    {
        "id": pl.String(),
        **{name: ROLLOUTS.schema[name] for name in ("prefix_id", "problem_id", "rollout_index")},
        "seed": ROLLOUTS.schema["seed"],
    }
)
_FOUND = pl.Schema(
    {
        "request_id": pl.String(),
        **{
            name: ROLLOUTS.schema[name]
            for name in (
                "text", "answer", "is_correct", "grade_reason", "finish_reason", "num_tokens"
            )
        },
    }
)  # fmt: skip


def _draw_fixed(
    table: Table,
    collect: Callable[[pl.DataFrame, str], pl.DataFrame],
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
    graded = _graded(table, collect, source, problems, sampler, shard)
    return Drawn(graded, _costs(table, cost, sampler, shard))


def _graded(
    table: Table,
    collect: Callable[[pl.DataFrame, str], pl.DataFrame],
    source: Fixed,
    problems: pl.DataFrame,
    sampler: Sampler,
    shard: Shard,
) -> pl.DataFrame:
    """Return what was drawn as rows of the table."""
    collected = collect(_kept(source.drawn(), shard.splitting), sampler.name)
    return grade_completions(collected, problems).select(table.schema.keys())


def _kept(drawn: pl.DataFrame, splitting: SplittingSettings) -> pl.DataFrame:
    """Return what is kept of drawn texts."""
    if splitting.calculations == "keep":
        return drawn
    return drawn.with_columns(pl.col("text").map_elements(splitting.kept, pl.String))


def _fingerprint(
    sampler: Sampler, shard: Shard, temperature: float, max_tokens: int
) -> Fingerprint:
    return {
        **sampler.fingerprint,
        "template": sampler.template,
        "seed": shard.run_seed,
        "seeding": SEEDING,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


def _sample(
    table: Table,
    source: Source,
    sampler: Sampler,
    shard: Shard,
    fingerprint: Fingerprint,
    earlier: pl.DataFrame | None = None,
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
