"""A small entailment model for the steps of word problems, where no published one can be had.

    python -m training.nli --base resources/base_models/base-large --out models/nli

It stands in for a checkpoint like roberta-large-mnli in the embedded world alone: it has read
nothing but pairs of steps, drawn on the fly from the train split. A step entails another that
claims no more: the same equation (operands of + and * in either order) and the same final
answer, if it states one. Words and numbering around them carry no claim, as for the oracle.
"""

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import torch
from tokenizers import processors
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

from shepherd.mistakes import write_flawed
from shepherd.settings import TrainingSettings
from shepherd.splitting import split_steps
from shepherd.word_problems import WordProblem, draw_problems, write_solution
from training import loop
from training.packing import IGNORED, Batch, Example
from training.plans import rows
from training.reward_model import label_accuracy

LABELS = ("not_entailment", "entailment")
SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=64, max_length=256)
NUM_PAIRS = 20_000
"""What `benchmarks.label_quality` was measured with."""

_EQUATION = re.compile(r"(\d+) ([+*-]) (\d+) = (\d+)")
_ANSWER = re.compile(r"The answer is: (\d+)")
_PER_PROBLEM = 6


def claims(step: str) -> frozenset[tuple[str, ...]]:
    """Return what a step of a word problem claims: its equations and its final answer."""
    equations = {
        (op, *(sorted((left, right)) if op != "-" else (left, right)), result)
        for left, op, right, result in _EQUATION.findall(step)
    }
    return frozenset(equations | {("answer", found) for found in _ANSWER.findall(step)})


def draw_pairs(num_pairs: int, seed: int, split: str = "train") -> pl.DataFrame:
    """Return (premise, hypothesis, entails), half of them entailments, of no two equal texts.

    Both steps are of one problem, mostly of the same place in two of its solutions, right and
    flawed ones: the others are near misses, as those of real solutions are.
    """
    rng = random.Random(seed)
    found: list[tuple[str, str, bool]] = []
    num_problems = 1 + num_pairs // _PER_PROBLEM
    while len(found) < num_pairs:
        for problem in draw_problems(rng.randrange(2**31), split, num_problems):
            pairs = list(_pairs_of(problem, rng))
            by_kind = [[pair for pair in pairs if pair[2] is kind] for kind in (False, True)]
            share = min(_PER_PROBLEM // 2, *map(len, by_kind))
            found += (pair for kind in by_kind for pair in rng.sample(kind, share))
    schema = {"premise": pl.String(), "hypothesis": pl.String(), "entails": pl.Boolean()}
    return pl.DataFrame(found[:num_pairs], schema=schema, orient="row")


def _pairs_of(problem: WordProblem, rng: random.Random) -> Iterator[tuple[str, str, bool]]:
    solutions = [split_steps(write_solution(problem, rng)) for _ in range(3)]
    solutions += [write_flawed(problem, rng, error_rate=0.3)[0] for _ in range(3)]
    for _ in range(40):
        first, second = rng.sample(solutions, 2)
        place = rng.randrange(len(first))
        other = place if rng.random() < 0.8 else rng.randrange(len(second))
        if other < len(second):
            premise, hypothesis = first[place].strip(), second[other].strip()
            if premise != hypothesis:
                yield premise, hypothesis, claims(hypothesis) <= claims(premise)


def load(base: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model with an untrained head over LABELS, and its tokenizer for pairs."""
    model, _ = loop.load(
        base,
        AutoModelForSequenceClassification,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    tokenizer = AutoTokenizer.from_pretrained(
        base, model_input_names=["input_ids", "attention_mask"]
    )
    bos, eos = tokenizer.bos_token, tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {eos} $B {eos}",
        special_tokens=[(bos, tokenizer.bos_token_id), (eos, tokenizer.eos_token_id)],
    )
    return model, tokenizer


class AtTags(nn.Module):
    """The classifier at the tags of packed pairs; its own forward reads one pair a row."""

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, logits_to_keep: torch.Tensor, **inputs: Any
    ) -> SequenceClassifierOutputWithPast:
        """Return logits (1, tags, 2)."""
        hidden = self.classifier.base_model(**inputs).last_hidden_state
        logits = self.classifier.score(hidden[:, logits_to_keep])
        return SequenceClassifierOutputWithPast(logits=logits)


def entailment_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross entropy of the class of each pair, mean over those of the step; logits (pairs, 2)."""
    return F.cross_entropy(logits, batch.labels.long(), reduction="sum") / batch.counts.tags


def chances(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the probability of entailment and the label of each pair, (pairs, 2)."""
    return torch.stack([logits.softmax(-1)[:, 1], batch.labels], dim=1)


OBJECTIVE = loop.Objective(entailment_loss, chances, label_accuracy)


def train_nli(
    base: str | Path, pairs: pl.DataFrame, out: Path, settings: TrainingSettings, *, seed: int
) -> loop.TrainingReport:
    """Train on (premise, hypothesis, entails) rows and save a checkpoint with LABELS to ``out``.

    Pairs over ``settings.max_length`` tokens are left out and counted (``num_cut``).
    """
    torch.manual_seed(seed)
    model, tokenizer = load(base)

    def encode(premise: str, hypothesis: str, entails: bool) -> Example | None:
        ids = tokenizer(premise, hypothesis)["input_ids"]
        if len(ids) > settings.max_length:
            return None
        return Example(ids, [IGNORED] * len(ids), tags=[len(ids) - 1], labels=[float(entails)])

    return loop.train(
        model,
        tokenizer,
        (encode(*row) for row in rows(pairs.lazy(), "premise", "hypothesis", "entails")),
        OBJECTIVE,
        settings,
        out,
        base=base,
        seed=seed,
        name="train NLI",
        forward=AtTags(model),
    )


def main() -> None:
    """Draw pairs, train, save a checkpoint and print what was done."""
    parser = argparse.ArgumentParser(
        prog="python -m training.nli", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--base", required=True, help="a folder of resources/base_models")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--num-pairs", type=int, default=NUM_PAIRS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pairs = draw_pairs(args.num_pairs, args.seed)
    report = train_nli(args.base, pairs, args.out, SETTINGS, seed=args.seed)
    print(
        f"{report.num_steps} steps on {report.num_examples:,} pairs in {report.seconds:.0f} s; "
        f"loss {report.losses[0]:.3f} -> {report.losses[-1]:.3f}; saved to {args.out}"
    )


if __name__ == "__main__":
    main()
