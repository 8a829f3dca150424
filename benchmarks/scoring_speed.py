"""How fast are a problem's candidates scored, next to simpler ways?

    python -m benchmarks.scoring_speed [--json] [--problems 4]

base-small draws 64 candidates of each of a few word problems. base-large scores them as a PRM:

- one forward per step: a forward pass for each prefix of each candidate, the protocol of many
  evaluation scripts
- padded batches: distinct solutions sorted by length, 4,096 padded tokens a batch
- shared prefixes: ``training.scoring``

All three compute in float32 with the same threads, and tokenization counts. Their scores are
compared. Seconds are CPU seconds, which other load disturbs less than wall-clock seconds.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least, at_most
from resources.engines import open_engine
from resources.storage.model_store import BASE_MODELS
from shepherd.prompts import build_prompt
from shepherd.requests import Request, draw_all
from shepherd.settings import EngineSettings
from shepherd.splitting import scored_steps
from shepherd.word_problems import draw_problems
from training.scoring import Scorer
from training.step_tags import Tags, encode_tagged

MODEL: Path = BASE_MODELS / "base-large"
MAX_LENGTH = 192
BATCH_TOKENS = 4096
Scores = list[list[float]]


def all_read(scores: list[list[float | None]]) -> Scores:
    """Return scores of solutions that a model reads to the end."""
    known = [[score for score in row if score is not None] for row in scores]
    assert known == scores, "the window holds all solutions"
    return known


def draw_word_solutions(
    num_problems: int, num_candidates: int
) -> tuple[list[str], list[list[str]]]:
    """Return the question and the steps of each candidate."""
    questions = [problem.question for problem in draw_problems(1, "test", num_problems)]
    requests = [
        Request(f"{p}:{k}", build_prompt("plain", question), 1000 * p + k, 0.7, 100)
        for p, question in enumerate(questions)
        for k in range(num_candidates)
    ]
    with closing(open_engine(EngineSettings(batch_size=64), BASE_MODELS / "base-small")) as engine:
        drawn = draw_all(engine, requests)
    question_of = [questions[int(request.id.partition(":")[0])] for request in requests]
    return question_of, [scored_steps(completion.text) for completion in drawn]


class UnpackedScorer:
    """Score with a reward model without packing sequences."""

    def __init__(self) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(MODEL)
        self._model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
        self._tags = Tags.of(self._tokenizer)

    @torch.inference_mode()
    def one_forward_per_step(self, questions: list[str], steps: list[list[str]]) -> Scores:
        """Score each prefix of each candidate in its own forward pass."""
        return [
            [
                self._at_tags([self._encode(question, texts[:end])])[0][-1]
                for end in range(1, len(texts) + 1)
            ]
            for question, texts in zip(questions, steps, strict=True)
        ]

    @torch.inference_mode()
    def padded(self, questions: list[str], steps: list[list[str]]) -> Scores:
        """Score distinct solutions in batches of similar length."""
        candidates = [(q, tuple(texts)) for q, texts in zip(questions, steps, strict=True)]
        distinct = {key: self._encode(*key) for key in dict.fromkeys(candidates)}
        keys = sorted(distinct, key=lambda key: len(distinct[key][0]))
        cuts, size = [0], 0
        for index, key in enumerate(keys):
            size += 1
            if size * len(distinct[key][0]) > BATCH_TOKENS:
                cuts.append(index)
                size = 1
        scores: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        for start, end in pairwise([*cuts, len(keys)]):
            batch = keys[start:end]
            values = self._at_tags([distinct[key] for key in batch])
            scores.update(zip(batch, values, strict=True))
        return [scores[key] for key in candidates]

    def _encode(self, question: str, texts: Sequence[str]) -> tuple[list[int], list[int]]:
        prompt, zeros = build_prompt("plain", question), [0.0] * len(texts)
        example = encode_tagged(self._tokenizer, self._tags, prompt, texts, zeros, MAX_LENGTH)
        return list(example.ids[: example.tags[-1] + 1]), list(example.tags)

    def _at_tags(self, encoded: list[tuple[list[int], list[int]]]) -> Scores:
        length = max(len(ids) for ids, _ in encoded)
        rows = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in encoded])
        mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in encoded])
        logits = self._model(input_ids=rows, attention_mask=mask, use_cache=False).logits
        rewards = logits[..., self._tags.good] - logits[..., self._tags.bad]
        return [
            torch.sigmoid(row[tags]).tolist()
            for row, (_, tags) in zip(rewards, encoded, strict=True)
        ]


def run(options: argparse.Namespace) -> list[Result]:
    """Time the three ways on the same candidates, after one problem to warm up."""
    questions, steps = draw_word_solutions(options.problems, options.candidates)
    plain = UnpackedScorer()
    shared = Scorer(
        MODEL, kind="process", template="plain", max_length=MAX_LENGTH, dtype=torch.float32
    )
    ways: dict[str, Callable[[list[str], list[list[str]]], Scores]] = {
        "one forward per step": plain.one_forward_per_step,
        "padded batches": plain.padded,
        "shared prefixes": lambda questions, steps: all_read(shared.score(questions, steps)),
    }
    seconds, scores = {}, {}
    for name, way in ways.items():
        way(questions[: options.candidates], steps[: options.candidates])
        started = time.process_time()
        scores[name] = way(questions, steps)
        seconds[name] = time.process_time() - started
    rate = {name: len(steps) / cpu_seconds for name, cpu_seconds in seconds.items()}
    alone, padded, fast = rate.values()
    worst = max(
        abs(one - other)
        for name in ("padded batches", "shared prefixes")
        for row, reference in zip(scores[name], scores["one forward per step"], strict=True)
        for one, other in zip(row, reference, strict=True)
    )
    return [
        *(Result(name, value, "candidates/CPU s") for name, value in rate.items()),
        at_least("shared prefixes against one forward per step", fast / alone, "times", 5.0),
        at_least("shared prefixes against padded batches", fast / padded, "times", 1.0),
        at_most("largest difference of a score", worst, "score", 1e-4),
    ]


BENCHMARK = Benchmark(
    "scoring_speed",
    __doc__,
    run,
    sizes=[
        Size("problems", 4, 1, "word problems"),
        Size("candidates", 64, 4, "candidates of each problem"),
    ],
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
