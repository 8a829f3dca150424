"""Does a sampling stage that is killed again and again write what an undisturbed one does?

    python -m benchmarks.kill_resume [--json]

Rolls solutions' prefixes of word problems out through the embedded engine, with a tiny random
model, in a process that is sent SIGKILL after a random number of completions and milliseconds.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from benchmarks.report import Result, at_least, at_most, main
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

DATASET = DatasetSettings(source="word_problems", num_train=100, num_test=1)
SAMPLING = SamplingSettings(max_tokens=48, rollout_temperature=1.0)
JUDGE = JudgeSettings(base="random", template="plain", num_votes=6, max_tokens=48)
ENGINE = EngineSettings(batch_size=16, dtype="float32", device="cpu")
KILLS = 60
MOST_RECORDS = 12
MIN_KILLS = 50


@dataclass(frozen=True)
class Outcome:
    """A stage that ran to its end. ``num_added`` counts the requests given to engines in all."""

    output: bytes
    num_kills: int
    num_added: int
    num_repeated: int
    """Requests drawn again although an earlier run had recorded them."""


class LoggedEngine:
    """An engine that appends the ids of the requests it is given to a file."""

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
class KillableStage:
    """A sampling stage over the gold solutions, which are taken for wrong: annotators search them.

    It rolls out what ``annotator`` asks for, or else asks a judge.
    """

    make_sampler: Callable[[], CompletionModel]
    annotator: Annotator | None

    @property
    def table(self) -> Table:
        """What it writes."""
        return ROLLOUTS if self.annotator else CRITIQUES

    def run(self, folder: Path) -> None:
        """Run as the asset does, into a lake in ``folder``."""
        problems, _ = load_problems("words", DATASET, seed=0)
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
    stage: KillableStage,
    folder: Path,
    *,
    seed: int,
    max_kills: int,
    most_records: int,
    preload: Sequence[str] = (),
) -> Outcome:
    """Run a stage until it ends, killing the first ``max_kills`` runs at random moments.

    A run lives until it has recorded at most ``most_records`` completions, however slow the
    machine is, and some milliseconds more, so that it can be at any point of its work.
    ``preload`` names modules that every run needs and none should spend its life importing.
    """
    # The runs fork from a process that only imports, as one with threads could not.
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
            num_recorded = len(finished) + rng.randint(0, most_records)
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
    return Outcome(output.read_bytes(), num_kills, num_added, num_repeated)


def _added(folder: Path) -> list[str]:
    log = folder / "added"
    return log.read_text().splitlines() if log.exists() else []


def _recorded(stage: KillableStage, folder: Path) -> list[str]:
    """Return the ids of the requests in the whole records of the journal."""
    journals = folder.glob(f"{stage.table.name}/words/00/*{SUFFIX}")
    return [name for journal in journals for name in read_journal(journal)["request_id"]]


def random_sampler(checkpoint: Path) -> CompletionModel:
    """Return the sampler of the checkpoint that :func:`write_random_model` wrote."""
    return completion_model_of("random", ModelSettings(base="random"), checkpoint, ENGINE)


def write_random_model(folder: Path) -> None:
    """Write a Llama of 0.2M random weights that knows the words of word problems."""
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


def run() -> list[Result]:
    """Run the stage undisturbed and killed, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_random_model(folder / "model")
        undisturbed, killed = (
            run_with_kills(
                KillableStage(partial(random_sampler, folder / "model"), MonteCarlo(8)),
                folder / f"{kills} kills",
                seed=0,
                max_kills=kills,
                most_records=MOST_RECORDS,
                preload=["torch", "transformers", "resources.engines.transformers"],
            )
            for kills in (0, KILLS)
        )
    drawn_twice = killed.num_added - undisturbed.num_added
    return [
        Result("requests", undisturbed.num_added, "requests"),
        at_least("runs killed before their end", killed.num_kills, "runs", MIN_KILLS),
        at_least("output is the same", float(killed.output == undisturbed.output), "1 = yes", 1),
        at_most("finished requests drawn again", killed.num_repeated, "requests", 0),
        at_most(
            "requests in flight drawn again, per kill",
            drawn_twice / max(1, killed.num_kills),
            "requests",
            2 * ENGINE.batch_size,
        ),
    ]


if __name__ == "__main__":
    main("kill_resume", run)
