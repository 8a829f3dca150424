"""Draw what annotators read of published solutions, once for all numbers and annotators.

Draws lie in a folder of their fingerprint: the model's weights, engine, template, temperature,
lengths and seed. Journals name each draw by its text and number. So another N, other annotators or
more problems draw only what is missing, and a killed run resumes.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import polars as pl

from benchmarks.annotated import AnnotatedSolutions, CompleterRollouts
from benchmarks.truth_settings import TruthSettings
from resources.sampling.request_source import RequestList
from resources.sampling.rollouts import rollout_stage
from resources.sampling.stage import CompletionModel, Shard, Stage, completion_model_of
from resources.storage.journal import read_journal
from resources.storage.model_store import ModelStore
from shepherd.annotators.problem import Annotator, Replay, read_pool
from shepherd.engine_settings import EngineSettings
from shepherd.identity import content_id
from shepherd.rollouts import collect_rollouts, distinct_prefixes, rollout_requests
from shepherd.settings import ModelSettings


def open_model(name: str, model: ModelSettings, engine: EngineSettings) -> CompletionModel:
    """Return a model on an engine; it is loaded once something must be drawn.

    Raises:
        ValueError: there is no such base, or its tokenizer has no usable chat template.
    """
    checkpoint = ModelStore(Path()).resolve(model.base, is_served=engine.kind == "openai")
    return completion_model_of(name, model, checkpoint, engine)


def in_own_folder(stage: Stage) -> Stage:
    """Return a stage whose journal lies in a folder of the stage's fingerprint."""
    digest = content_id(json.dumps(dict(stage.fingerprint), sort_keys=True))
    return replace(stage, shard=replace(stage.shard, journals=stage.shard.journals / digest))


def shard_of(work: AnnotatedSolutions, settings: TruthSettings, folder: Path) -> Shard:
    """Return the shard that keeps the draws of solutions in ``folder``."""
    return replace(work.shard, journals=folder, run_seed=settings.seed)


def with_completer(
    work: AnnotatedSolutions, settings: TruthSettings, folder: Path
) -> AnnotatedSolutions:
    """Return the solutions with their completer, which keeps its draws in ``folder``."""
    completer = open_model("completer", settings.completer, settings.engine)
    stage = rollout_stage(completer, settings.sampling, shard_of(work, settings, folder))
    return replace(
        work,
        samplers={"completer": completer},
        sampling=settings.sampling,
        shard=in_own_folder(stage).shard,
    )


def part_of(work: AnnotatedSolutions, problem_ids: Sequence[str]) -> AnnotatedSolutions:
    """Return the solutions of some problems."""
    ids = set(problem_ids)
    chosen = pl.col("problem_id").is_in(list(ids))
    steps = work.steps.filter(chosen)
    return replace(
        work,
        problems=work.problems.filter(chosen),
        solutions=work.solutions.filter(chosen),
        steps=steps,
        truth=work.truth.join(steps, on="step_id", how="semi", maintain_order="left"),
        by_problem=[one for one in work.by_problem if one.problem_id in ids],
    )


def drawn_part(
    work: AnnotatedSolutions, annotators: Sequence[Annotator]
) -> tuple[AnnotatedSolutions, CompleterRollouts]:
    """Return the first problems whose rollouts are all drawn, and these rollouts; draw nothing.

    Problems come in the order of their ids, which are hashes. The part ends before the first
    problem that lacks a rollout, so that the length of rollouts does not choose the problems.

    Raises:
        ValueError: nothing was drawn with these settings, or not all of any problem.
    """
    stage = rollout_stage(work.samplers["completer"], work.sampling, work.shard)
    if not stage.journal.is_file():
        raise ValueError(f"--drawn: {stage.journal} does not exist: draw first, without --drawn")
    completions = read_journal(stage.journal)
    most = max((one.num_rollouts for one in annotators), default=0)
    prefixes = distinct_prefixes(work.steps, work.problems)
    indices = pl.lit(list(range(most)), pl.List(pl.Int64))
    requests = rollout_requests(
        prefixes.with_columns(rollout_index=indices),
        template=stage.model.template,
        run_seed=stage.shard.run_seed,
        temperature=stage.temperature,
        max_tokens=stage.max_tokens,
    ).join(completions, left_on="id", right_on="request_id", how="semi", maintain_order="left")
    # Rollouts may finish out of order: those after a missing one are left out.
    known = requests.filter(pl.col("rollout_index") == pl.int_range(pl.len()).over("prefix_id"))
    source = RequestList(known)
    with tempfile.TemporaryDirectory() as folder:
        # The journal itself may be in use by the run that draws.
        reading = replace(stage, shard=replace(stage.shard, journals=Path(folder)))
        cost = reading.draw(source, completions)
        rollouts = reading.graded_rows(source, collect_rollouts, work.problems)
    pool = read_pool(rollouts)
    whole = takewhile(
        lambda problem: not any(Replay(one, problem).advance(pool) for one in annotators),
        work.by_problem,
    )
    part = part_of(work, [problem.problem_id for problem in whole])
    if not part.by_problem:
        raise ValueError(
            f"--drawn: {stage.journal} holds not all rollouts of any problem yet, or another "
            "version wrote it: draw on, without --drawn"
        )
    return part, CompleterRollouts(rollouts, cost.seconds / max(1, cost.completion_tokens))
