"""The sampling stages: problems and steps in, graded draws and their cost out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from resources.journal import Fingerprint
from resources.sampling import grade_completions, sample
from shepherd.identity import content_id
from shepherd.requests import Completion, Engine, Request
from shepherd.rollouts import (
    collect_candidates,
    collect_rollouts,
    collect_solutions,
    distinct_prefixes,
    rollout_requests,
    solution_requests,
)
from shepherd.schemas import CANDIDATES, ROLLOUT_COSTS, ROLLOUTS, SOLUTIONS, Table
from shepherd.settings import EngineSettings, ModelSettings, SamplingSettings


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
    """What is sampled, and where its journals lie: ``folder/<stage>/<dataset>/<shard>/``."""

    dataset: str
    key: str
    journals: Path
    run_seed: int

    def journal(self, stage: str, model: str) -> Path:
        """Return the journal of one model's draws."""
        return self.journals / stage / self.dataset / self.key / f"{model}.jsonl"


@dataclass(frozen=True)
class Drawn:
    """Graded draws, and what they cost: one row of a cost table."""

    frame: pl.DataFrame
    cost: pl.DataFrame


def transformers_sampler(
    name: str, model: ModelSettings, checkpoint: str | Path, engine: EngineSettings
) -> Sampler:
    """Return the sampler of a checkpoint folder or hub name, on the embedded engine."""

    def open_engine() -> Engine:
        from resources.engines.transformers import TransformersEngine

        return TransformersEngine(
            checkpoint, batch_size=engine.batch_size, dtype=engine.dtype, device=engine.device
        )

    fingerprint = {"weights": weights_identity(checkpoint), "dtype": engine.dtype}
    return Sampler(name, model.template, fingerprint, open_engine)


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
    num_samples = sampling.samples_per_problem
    requests = _of_problems(SOLUTIONS, problems, sampler, sampling, shard, num_samples)

    def collect(completions: Sequence[Completion]) -> pl.DataFrame:
        return collect_solutions(requests, completions, sampler.name)

    return _draw(SOLUTIONS, requests, collect, problems, sampler, sampling, shard)


def draw_candidates(
    problems: pl.DataFrame, sampler: Sampler, sampling: SamplingSettings, shard: Shard
) -> Drawn:
    """Draw ``num_candidates`` solutions of each problem; CANDIDATES and CANDIDATE_COSTS."""
    num_samples = sampling.num_candidates
    requests = _of_problems(CANDIDATES, problems, sampler, sampling, shard, num_samples)

    def collect(completions: Sequence[Completion]) -> pl.DataFrame:
        return collect_candidates(requests, completions, sampler.name)

    return _draw(CANDIDATES, requests, collect, problems, sampler, sampling, shard)


def draw_rollouts(
    steps: pl.DataFrame,
    problems: pl.DataFrame,
    sampler: Sampler,
    sampling: SamplingSettings,
    shard: Shard,
) -> Drawn:
    """Draw ``num_rollouts`` of each distinct non-final prefix; ROLLOUTS and ROLLOUT_COSTS."""
    prefixes = distinct_prefixes(steps, problems)
    requests = rollout_requests(
        prefixes,
        template=sampler.template,
        run_seed=shard.run_seed,
        num_rollouts=sampling.num_rollouts,
        temperature=sampling.rollout_temperature,
        max_tokens=sampling.max_tokens,
    )

    def collect(completions: Sequence[Completion]) -> pl.DataFrame:
        return collect_rollouts(requests, completions, prefixes, sampler.name)

    num_steps = int(prefixes["num_steps_served"].sum())
    num_merged = (num_steps - prefixes.height) * sampling.num_rollouts
    return _draw(ROLLOUTS, requests, collect, problems, sampler, sampling, shard, num_merged)


def _of_problems(
    table: Table,
    problems: pl.DataFrame,
    sampler: Sampler,
    sampling: SamplingSettings,
    shard: Shard,
    num_samples: int,
) -> list[Request]:
    return solution_requests(
        problems,
        stage=table.name,
        template=sampler.template,
        generator=sampler.name,
        run_seed=shard.run_seed,
        num_samples=num_samples,
        temperature=sampling.temperature,
        max_tokens=sampling.max_tokens,
    )


def _draw(
    table: Table,
    requests: Sequence[Request],
    collect: Callable[[Sequence[Completion]], pl.DataFrame],
    problems: pl.DataFrame,
    sampler: Sampler,
    sampling: SamplingSettings,
    shard: Shard,
    num_merged: int = 0,
) -> Drawn:
    temperature = sampling.rollout_temperature if table is ROLLOUTS else sampling.temperature
    sampled = sample(
        sampler.open_engine,
        requests,
        shard.journal(table.name, sampler.name),
        fingerprint={
            **sampler.fingerprint,
            "template": sampler.template,
            "seed": shard.run_seed,
            "temperature": temperature,
            "max_tokens": sampling.max_tokens,
        },
        description=f"{table.name} {shard.dataset} {shard.key} {sampler.name}",
    )
    graded = grade_completions(collect(sampled.completions), problems)
    cost = {
        "stage": table.name,
        "dataset": shard.dataset,
        "shard": shard.key,
        "model": sampler.name,
        "num_merged": num_merged,
        **asdict(sampled.cost),
    }
    # The three cost tables have the same columns.
    costs = pl.DataFrame([cost], schema=ROLLOUT_COSTS.schema)
    return Drawn(graded.select(table.schema.keys()), costs)
