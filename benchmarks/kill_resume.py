"""Does a sampling stage write the same rows if it is killed many times?

    python -m benchmarks.kill_resume [--json] [--kills 60]

Draws rollouts of prefixes of word problems from a tiny random model through the embedded engine.
SIGKILL ends the process after a random number of completions and milliseconds.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least, at_most
from resources.files.problems import load_problems
from resources.sampling.critiques import draw_critiques
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.stage import CompletionModel, Shard, completion_model_of
from resources.storage.journal import SUFFIX, read_journal
from resources.storage.lake import Lake
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.problem import Annotator
from shepherd.requests import Engine
from shepherd.rollouts import split_solutions
from shepherd.schemas import CRITIQUES, ROLLOUTS, Table
from shepherd.settings import (
    DatasetSettings,
    EngineSettings,
    JudgeSettings,
    ModelSettings,
    SamplingSettings,
)

NUM_PROBLEMS = 150
"""About 3,000 rollouts: a run finishes about 40 between its start and its kill, so that 60 kills
come before the end."""
N = 8
"""Rollouts of a prefix."""
SAMPLING = SamplingSettings(max_tokens=48, rollout_temperature=1.0)
JUDGE = JudgeSettings(base="random", template="plain", num_votes=6, max_tokens=48)
ENGINE = EngineSettings(batch_size=16, dtype="float32", device="cpu")
MAX_RECORDS = 12
"""A run is killed after at most that many completions."""
MIN_SHARE_KILLED = 5 / 6
"""The target: this share of the kills comes before the end of the stage."""


@dataclass(frozen=True)
class KilledStageOutcome:
    """The output of a stage that ran to its end.

    ``num_added`` counts the requests added to engines in all runs. ``num_repeated`` counts the
    requests added although an earlier run had recorded their completions.
    """

    output: bytes
    num_kills: int
    num_added: int
    num_repeated: int


class LoggedEngine:
    """An engine that appends the id of every added request to a file."""

    def __init__(self, engine: Engine, log: Path) -> None:
        self.capacity = engine.capacity
        self._engine = engine
        self._log = log

    def add(self, requests: pl.DataFrame) -> None:
        with self._log.open("a") as file:
            file.writelines(f"{name}\n" for name in requests["id"])
        self._engine.add(requests)

    def poll(self) -> pl.DataFrame:
        return self._engine.poll()

    def close(self) -> None:
        self._engine.close()


@dataclass(frozen=True)
class KilledStage:
    """A sampling stage over the gold solutions of word problems.

    It draws the rollouts that ``annotator`` asks for, or critiques if there is no annotator. The
    gold solutions count as wrong, because annotators search for errors in wrong solutions only.
    """

    make_sampler: Callable[[], CompletionModel]
    annotator: Annotator | None
    num_problems: int = NUM_PROBLEMS

    @property
    def table(self) -> Table:
        """The table that the stage writes."""
        return ROLLOUTS if self.annotator else CRITIQUES

    def run(self, folder: Path) -> None:
        """Run as the asset does, into a lake in ``folder``."""
        dataset = DatasetSettings(source="word_problems", num_train=self.num_problems, num_test=1)
        problems, _ = load_problems("words", dataset, seed=0)
        train = problems.filter(split="train")
        solutions = train.select(
            "problem_id",
            solution_id="problem_id",
            text="gold_solution",
            is_correct=pl.lit(value=False),
        )
        steps = split_solutions(solutions)
        sampler = self.make_sampler()
        logged = replace(
            sampler, open_engine=lambda: LoggedEngine(sampler.open_engine(), folder / "added")
        )
        shard = Shard("words", "00", folder, run_seed=0)
        drawn = (
            draw_rollouts(
                rollout_stage(logged, SAMPLING, shard),
                WrittenSolutions(train, solutions, steps),
                [self.annotator],
            )
            if self.annotator
            else draw_critiques(steps, train, logged, JUDGE, shard)
        )
        Lake(folder).write(self.table, drawn.frame, "words", "00")


def run_with_kills(
    stage: KilledStage,
    folder: Path,
    *,
    seed: int,
    max_kills: int,
    max_records: int,
    preload: Sequence[str] = (),
) -> KilledStageOutcome:
    """Run a stage until it ends, and kill the first ``max_kills`` runs at random moments.

    A run is killed after a random number of recorded completions, at most ``max_records``, and
    after 0 to 30 ms more. So the moment does not depend on the machine's speed. ``preload`` names
    modules that every run imports.
    """
    # Runs fork from a server that only imports: a process with threads must not fork.
    processes = get_context("forkserver")
    processes.set_forkserver_preload([__name__, *preload])
    output = Lake(folder).path(stage.table.name, "words", "00")
    rng, num_kills, num_added, num_repeated = random.Random(seed), 0, 0, 0
    while not output.exists():
        finished = set(_recorded(stage, folder))
        num_before = len(_added(folder))
        process = processes.Process(target=stage.run, args=(folder,))
        process.start()
        if num_kills < max_kills:
            num_recorded = len(finished) + rng.randint(0, max_records)
            while process.is_alive() and len(_recorded(stage, folder)) < num_recorded:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.03))
        else:
            process.join()
        if process.is_alive():
            process.kill()
            process.join()
            num_kills += 1
        elif process.exitcode != 0:
            raise RuntimeError(f"the stage failed by itself: exit code {process.exitcode}")
        fresh = _added(folder)[num_before:]
        num_added += len(fresh)
        num_repeated += len(finished.intersection(fresh))
    return KilledStageOutcome(output.read_bytes(), num_kills, num_added, num_repeated)


def _added(folder: Path) -> list[str]:
    log = folder / "added"
    return log.read_text().splitlines() if log.exists() else []


def _recorded(stage: KilledStage, folder: Path) -> list[str]:
    """Return the ids of the requests in the whole records of the journal."""
    journals = folder.glob(f"{stage.table.name}/words/00/*{SUFFIX}")
    return [name for journal in journals for name in read_journal(journal)["request_id"]]


def random_sampler(checkpoint: Path) -> CompletionModel:
    """Return the completion model of a checkpoint of :func:`write_random_model`."""
    return completion_model_of("random", ModelSettings(base="random"), checkpoint, ENGINE)


def write_random_model(folder: Path) -> None:
    """Write a Llama with 0.2M random weights and the tokenizer of word problems."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from training.tokenizer import build_tokenizer

    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=256,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def run(options: argparse.Namespace) -> list[Result]:
    """Run the stage undisturbed and killed, and compare."""
    model = options.folder / "model"
    write_random_model(model)
    stage = KilledStage(partial(random_sampler, model), MonteCarlo(N), options.problems)
    undisturbed, killed = (
        run_with_kills(
            stage,
            options.folder / f"{kills} kills",
            seed=0,
            max_kills=kills,
            max_records=MAX_RECORDS,
            preload=["torch", "transformers", "resources.engines.transformers"],
        )
        for kills in (0, options.kills)
    )
    drawn_twice = killed.num_added - undisturbed.num_added
    min_kills = round(MIN_SHARE_KILLED * options.kills)
    return [
        Result("requests", undisturbed.num_added, "requests"),
        at_least("runs killed before their end", killed.num_kills, "runs", min_kills),
        at_least("output is the same", float(killed.output == undisturbed.output), "1 = yes", 1),
        at_most("finished requests drawn again", killed.num_repeated, "requests", 0),
        at_most(
            "requests in flight drawn again, per kill",
            drawn_twice / max(1, killed.num_kills),
            "requests",
            2 * ENGINE.batch_size,
        ),
    ]


BENCHMARK = Benchmark(
    "kill_resume",
    __doc__,
    run,
    sizes=[
        Size("kills", 60, 2, "times that the stage is killed, at most"),
        Size("problems", NUM_PROBLEMS, 5, "word problems"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
