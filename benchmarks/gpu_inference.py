"""Rows of ``python -m benchmarks.gpu`` about scoring and drawing."""

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.gpu_training import ARCHITECTURES, TINY, save_random_model
from benchmarks.requirements import require_package
from benchmarks.scoring_speed import all_read, draw_word_solutions
from resources.engines import open_engine
from shepherd.prompts import build_prompt
from shepherd.requests import Engine, Request, draw_all
from shepherd.settings import EngineSettings, VllmEngineSettings
from shepherd.word_problems import draw_problems
from training.packing import Example
from training.scoring import Scorer
from training.step_tags import Tags, encode_all

T = TypeVar("T")

MAX_LENGTH = 256
"""Tokens of a candidate at most; none is longer."""


def random_model(folder: Path, *, tiny: bool) -> Path:
    """Return the checkpoint that scoring and drawing use."""
    if tiny:
        return save_random_model(TINY, folder / "tiny")
    return save_random_model(ARCHITECTURES["1.1B"], folder / "1.1B")


class PaddedScorer:
    """Score in padded batches, without shared prefixes."""

    def __init__(self, path: Path, batch_size: int) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype).eval()
        self._model.to(self._device)
        self._tags = Tags.of(self._tokenizer)
        self._batch_size = batch_size

    def score(self, questions: Sequence[str], steps: Sequence[Sequence[str]]) -> list[list[float]]:
        """Score the distinct candidates in order of length; return the scores of all."""
        keys = [(question, tuple(texts)) for question, texts in zip(questions, steps, strict=True)]
        distinct = list(dict.fromkeys(keys))
        prompts = [build_prompt("plain", question) for question, _ in distinct]
        solutions = [texts for _, texts in distinct]
        encoded = encode_all(self._tokenizer, self._tags, prompts, solutions, MAX_LENGTH)
        examples = dict(zip(distinct, encoded, strict=True))
        ordered = sorted(examples, key=lambda key: len(examples[key].ids))
        scores: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        for first in range(0, len(ordered), self._batch_size):
            batch = ordered[first : first + self._batch_size]
            scored = self._score_batch([examples[key] for key in batch])
            scores.update(zip(batch, scored, strict=True))
        return [scores[key] for key in keys]

    @torch.inference_mode()
    def _score_batch(self, examples: list[Example]) -> list[list[float]]:
        lengths = [len(example.ids) for example in examples]
        longest = max(lengths)
        ids = [[*e.ids, *[0] * (longest - len(e.ids))] for e in examples]
        mask = [[1] * length + [0] * (longest - length) for length in lengths]
        logits = self._model(
            input_ids=torch.tensor(ids, device=self._device),
            attention_mask=torch.tensor(mask, device=self._device),
            use_cache=False,
        ).logits
        rewards = logits[..., self._tags.good].float() - logits[..., self._tags.bad].float()
        probabilities = torch.sigmoid(rewards).cpu()
        return [
            row[list(example.tags)].tolist()
            for example, row in zip(examples, probabilities, strict=True)
        ]


def measure_scoring(folder: Path, *, tiny: bool) -> dict[str, object]:
    """Score 256 candidates a problem with shared prefixes and in padded batches of 32.

    base-small draws them, as for ``benchmarks.scoring_speed``. Both ways score each distinct
    candidate once, and encode each distinct text once.
    """
    path = random_model(folder, tiny=tiny)
    num_problems, per_problem = (1, 8) if tiny else (8, 256)
    candidates = draw_word_solutions(num_problems, per_problem)
    scorer = Scorer(path, kind="process", template="plain", max_length=MAX_LENGTH)
    scorer.score(candidates[0][:per_problem], candidates[1][:per_problem])
    ours, seconds = _timed(lambda: all_read(scorer.score(*candidates)))
    padded = PaddedScorer(path, batch_size=32)
    padded.score(candidates[0][:per_problem], candidates[1][:per_problem])
    theirs, padded_seconds = _timed(lambda: padded.score(*candidates))
    pairs = [(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]
    count = len(candidates[0])
    distinct = len({(q, tuple(steps)) for q, steps in zip(*candidates, strict=True)})
    return {
        "problems": num_problems,
        "candidates": count,
        "distinct": distinct,
        "candidates_per_s": round(count / seconds, 1),
        "padded_candidates_per_s": round(count / padded_seconds, 1),
        "times": round(padded_seconds / seconds, 2),
        "largest_difference": round(max(abs(a - b) for a, b in pairs), 4),
    }


def measure_transformers(folder: Path, *, tiny: bool) -> dict[str, object]:
    """Draw through the engine ``transformers`` in bfloat16."""
    settings = EngineSettings(kind="transformers", batch_size=8 if tiny else 512)
    engine = open_engine(settings, random_model(folder, tiny=tiny))
    with closing(engine):
        return {"batch_size": settings.batch_size} | _draw(engine, settings.batch_size, tiny=tiny)


def measure_vllm(folder: Path, *, tiny: bool) -> dict[str, object]:
    """Draw through the engine ``vllm``, then through ``LLM.generate`` at its defaults.

    The prompts, lengths and seeds are the same, and the model is opened anew.

    Raises:
        ValueError: vLLM is not installed, or there is no GPU.
    """
    require_package("vllm", "pip install '.[vllm]'")
    if tiny:
        raise ValueError("there is no GPU: python -m benchmarks.engine_overhead measures CPUs")
    path, count = random_model(folder, tiny=False), 1024
    settings = EngineSettings(
        kind="vllm", batch_size=count, vllm=VllmEngineSettings(max_model_len=512)
    )
    with closing(open_engine(settings, path)) as engine:
        ours = _draw(engine, count, tiny=False)
    del engine
    gc.collect()
    torch.cuda.empty_cache()
    theirs = _bulk_rate(path, count)
    rate = ours["tokens_per_s"]
    assert isinstance(rate, int)
    return ours | {"generate_tokens_per_s": round(theirs), "times": round(rate / theirs, 2)}


def _bulk_rate(path: Path, count: int) -> float:
    """Return tokens a second of ``LLM.generate``; the first turn warms up."""
    from vllm import LLM, SamplingParams

    llm = LLM(str(path), max_model_len=512)
    for turn in range(2):
        requests = _requests(turn, count, tiny=False)
        sampling = [
            SamplingParams(seed=r.seed, temperature=r.temperature, max_tokens=r.max_tokens)
            for r in requests
        ]
        prompts = [request.prompt for request in requests]
        outputs, seconds = _timed(lambda: llm.generate(prompts, sampling, use_tqdm=False))  # noqa: B023  # called at once
    return sum(len(output.outputs[0].token_ids) for output in outputs) / seconds


def _draw(engine: Engine, count: int, *, tiny: bool) -> dict[str, object]:
    """Draw twice; the first turn warms up."""
    draw_all(engine, _requests(0, count, tiny=tiny))
    drawn, seconds = _timed(lambda: draw_all(engine, _requests(1, count, tiny=tiny)))
    tokens = sum(completion.num_tokens for completion in drawn)
    return {"requests": count, "tokens": tokens, "tokens_per_s": round(tokens / seconds)}


def _requests(turn: int, count: int, *, tiny: bool) -> list[Request]:
    """Return eight requests a prompt, of 192 tokens; each turn has its own prompts."""
    problems = draw_problems(turn, "train", count // 8)
    return [
        Request(f"{p}/{k}", problem.question + "\n", 8 * p + k, 0.7, 8 if tiny else 192)
        for p, problem in enumerate(problems)
        for k in range(8)
    ]


def _timed(function: Callable[[], T]) -> tuple[T, float]:
    """Return a function's result and its wall-clock seconds."""
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started
