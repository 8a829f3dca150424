"""Process reward model: a probability for every step that it can still reach the answer.

    python -m training prm --base BASE --data labeled_solutions.parquet --out models/prm

Equation 2 of arXiv 2312.08935: the sum over the steps i of a solution of
y_i log r_i + (1 - y_i) log(1 - r_i), with y_i the hard label of step i and r_i the sigmoid
score at its tag.
"""

from functools import partial
from pathlib import Path

import polars as pl

from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from training import loop
from training.reward_model import Tags, encode_tagged, reward_loss


def train_prm(
    base: str | Path,
    labeled: pl.DataFrame,
    out: Path,
    settings: TrainingSettings,
    *,
    template: str,
    seed: int,
) -> loop.TrainingReport:
    """Train on rows of ``labeled_solutions`` (question, steps, hard) and save to ``out``.

    Solutions of which some steps do not fit into ``settings.max_length`` are counted
    (``num_cut``); the steps that fit are kept.
    """
    model, tokenizer = loop.load(base)
    template = open_template(template, tokenizer)
    tags = Tags.of(tokenizer)
    examples = [
        encode_tagged(
            tokenizer, tags, build_prompt(template, question), steps, hard, settings.max_length
        )
        for question, steps, hard in labeled.select("question", "steps", "hard").iter_rows()
    ]
    num_labels = labeled["hard"].list.len().to_list()
    num_cut = sum(len(e.tags) < n for e, n in zip(examples, num_labels, strict=True))
    report = loop.train(
        model,
        [example for example in examples if example.tags],
        partial(reward_loss, tags=tags, lm_weight=settings.lm_weight),
        settings,
        pad_id=tokenizer.pad_token_id,
        seed=seed,
        name="train PRM",
        num_cut=num_cut,
    )
    loop.save(model, tokenizer, out)
    return report
