"""Train a small entailment model for the steps of word problems.

    python -m training.nli --base resources/base_models/base-large --out models/nli

The model replaces a checkpoint such as roberta-large-mnli on machines that cannot load one, for
word problems only: it learns from pairs of steps alone, drawn on the fly from train problems. A
step entails another step that claims no more. A claim is an equation (operands of + and * in
either order) or the final answer. Other words and the numbering are no claim, as for the oracle.
"""

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import torch
from tokenizers import processors
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

from resources.checkpoints.loading import load_tokenizer
from shepherd.mistakes import write_flawed
from shepherd.settings import TrainingSettings
from shepherd.splitting import split_steps
from shepherd.word_problems import WordProblem, draw_problems, write_solution
from training.command_line import train_on_draws
from training.loop import train
from training.model_files import load_model
from training.optimization import Objective
from training.packing import IGNORED, Batch, Example
from training.reward_model import label_metrics
from training.runs import TrainingReport, TrainingRun

LABELS = ("not_entailment", "entailment")
SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=64, max_length=256)
NUM_PAIRS = 20_000
"""The number that `benchmarks.label_quality` trains on."""

_EQUATION = re.compile(r"(\d+) ([+*-]) (\d+) = (\d+)")
_ANSWER = re.compile(r"The answer is: (\d+)")
_PER_PROBLEM = 6


def claims(step: str) -> frozenset[tuple[str, ...]]:
    """Return the claims of a step of a word problem: its equations and its final answer."""
    equations = {
        (op, *(sorted((left, right)) if op != "-" else (left, right)), result)
        for left, op, right, result in _EQUATION.findall(step)
    }
    return frozenset(equations | {("answer", answer) for answer in _ANSWER.findall(step)})


def draw_pairs(num_pairs: int, seed: int, split: str = "train") -> pl.DataFrame:
    """Return (premise, hypothesis, entails) of unequal texts; half the pairs are entailments.

    Both steps belong to one problem, and mostly to the same position in two of its solutions,
    right or flawed. So pairs without entailment are near misses, as in real solutions.
    """
    rng = random.Random(seed)
    pairs: list[tuple[str, str, bool]] = []
    num_problems = 1 + num_pairs // _PER_PROBLEM
    while len(pairs) < num_pairs:
        for problem in draw_problems(rng.randrange(2**31), split, num_problems):
            of_problem = list(_pairs_of(problem, rng))
            by_kind = [[pair for pair in of_problem if pair[2] is kind] for kind in (False, True)]
            count = min(_PER_PROBLEM // 2, *map(len, by_kind))
            pairs += (pair for kind in by_kind for pair in rng.sample(kind, count))
    schema = {"premise": pl.String(), "hypothesis": pl.String(), "entails": pl.Boolean()}
    return pl.DataFrame(pairs[:num_pairs], schema=schema, orient="row")


def _pairs_of(problem: WordProblem, rng: random.Random) -> Iterator[tuple[str, str, bool]]:
    solutions = [split_steps(write_solution(problem, rng)) for _ in range(3)]
    solutions += [write_flawed(problem, rng, error_rate=0.3)[0] for _ in range(3)]
    for _ in range(40):
        first, second = rng.sample(solutions, 2)
        position = rng.randrange(len(first))
        other = position if rng.random() < 0.8 else rng.randrange(len(second))
        if other < len(second):
            premise, hypothesis = first[position].strip(), second[other].strip()
            if premise != hypothesis:
                yield premise, hypothesis, claims(hypothesis) <= claims(premise)


def load_classifier(base: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a base model with an untrained head over LABELS, and its tokenizer for pairs."""
    model, _ = load_model(
        base,
        AutoModelForSequenceClassification,
        has_new_head=True,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    tokenizer = load_tokenizer(base, model_input_names=["input_ids", "attention_mask"])
    bos, eos = tokenizer.bos_token, tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {eos} $B {eos}",
        special_tokens=[(bos, tokenizer.bos_token_id), (eos, tokenizer.eos_token_id)],
    )
    return model, tokenizer


class PackedClassifier(nn.Module):
    """Classify packed pairs at their tags; the classifier's own forward reads one pair a row."""

    def __init__(self, classifier: PreTrainedModel) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, logits_to_keep: torch.Tensor, **inputs: object
    ) -> SequenceClassifierOutputWithPast:
        """Return logits, (1, tags, 2)."""
        hidden = self.classifier.base_model(**inputs).last_hidden_state
        logits = self.classifier.score(hidden[:, logits_to_keep])
        return SequenceClassifierOutputWithPast(logits=logits)


def entailment_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the cross entropy of the pairs' classes, as a share of the step's mean.

    ``logits`` are (pairs, 2). The sum is divided by the pairs of the whole step.
    """
    return F.cross_entropy(logits, batch.labels.long(), reduction="sum") / batch.counts.tags


def entailment_probabilities(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the probability of entailment and the label of each pair, (pairs, 2)."""
    return torch.stack([logits.softmax(-1)[:, 1], batch.labels], dim=1)


def train_nli(
    base: str | Path, pairs: pl.DataFrame, out: Path, settings: TrainingSettings, *, seed: int
) -> TrainingReport:
    """Train on (premise, hypothesis, entails) rows and save a checkpoint with LABELS to ``out``.

    Pairs over ``settings.max_length`` tokens are left out, and counted in the report
    (``num_cut``).
    """
    torch.manual_seed(seed)
    model, tokenizer = load_classifier(base)

    def encode(premise: str, hypothesis: str, entails: bool) -> Example | None:
        ids = tokenizer(premise, hypothesis)["input_ids"]
        if len(ids) > settings.max_length:
            return None
        return Example(ids, [IGNORED] * len(ids), tags=[len(ids) - 1], labels=[float(entails)])

    objective = Objective(
        "train NLI",
        columns=("premise", "hypothesis", "entails"),
        encode=encode,
        loss=entailment_loss,
        predict=entailment_probabilities,
        metrics=label_metrics,
    )
    run = TrainingRun(base, pairs, out, settings, seed=seed)
    return train(run, model, tokenizer, objective, forward=PackedClassifier(model))


def main() -> None:
    """Draw pairs, train, save a checkpoint and print a summary."""

    def train_drawn(args: argparse.Namespace) -> TrainingReport:
        pairs = draw_pairs(args.num_examples, args.seed)
        return train_nli(args.base, pairs, args.out, SETTINGS, seed=args.seed)

    train_on_draws(
        "python -m training.nli",
        (__doc__ or "").split("\n\n")[0],
        train_drawn,
        count_flag="--num-pairs",
        default_count=NUM_PAIRS,
        rows="pairs",
    )


if __name__ == "__main__":
    main()
