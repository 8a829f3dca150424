"""Outcome reward model: one probability for a whole solution that its answer is right.

    python -m training orm --base BASE --data labeled_solutions.parquet --out models/orm

Equation 1 of arXiv 2312.08935: y log r + (1 - y) log(1 - r), once per solution, with y its
correctness and r the sigmoid score at the tag that closes it.
"""

from functools import partial
from pathlib import Path

import polars as pl

from shepherd.prompts import build_prompt, open_template
from shepherd.settings import TrainingSettings
from training import loop
from training.reward_model import Tags, encode_tagged, reward_loss


def train_orm(
    base: str | Path,
    labeled: pl.DataFrame,
    out: Path,
    settings: TrainingSettings,
    *,
    template: str,
    seed: int,
) -> loop.TrainingReport:
    """Train on rows of ``labeled_solutions`` (question, steps, is_correct) and save to ``out``.

    A solution is one untagged text here: it is one "step" with one tag at its end. Solutions
    over ``settings.max_length`` tokens are left out and counted (``num_cut``).
    """
    model, tokenizer = loop.load(base)
    template = open_template(template, tokenizer)
    tags = Tags.of(tokenizer)
    examples = [
        encode_tagged(
            tokenizer,
            tags,
            build_prompt(template, question),
            ["".join(steps)],
            [float(is_correct)],
            settings.max_length,
        )
        for question, steps, is_correct in labeled.select(
            "question", "steps", "is_correct"
        ).iter_rows()
    ]
    fitting = [example for example in examples if example.tags]
    report = loop.train(
        model,
        fitting,
        partial(reward_loss, tags=tags, lm_weight=settings.lm_weight),
        settings,
        pad_id=tokenizer.pad_token_id,
        seed=seed,
        name="train ORM",
        num_cut=len(examples) - len(fitting),
    )
    loop.save(model, tokenizer, out)
    return report
