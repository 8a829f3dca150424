"""Score solutions with a reward model.

python -m training.score --model models/process_reward_model --data solutions.parquet
"""

from pathlib import Path
from typing import Literal

import polars as pl
import torch
from tqdm import tqdm
from transformers import AutoTokenizer
from transformers.utils import logging

from shepherd.prompts import build_prompt, open_template
from training.packing import Example, logits_of, pack
from training.reward_model import Tags, encode_tagged, load_trained, rewards

Kind = Literal["outcome", "process"]


@torch.inference_mode()
def score_solutions(
    model_path: str | Path,
    solutions: pl.DataFrame,
    *,
    kind: Kind,
    template: str,
    max_length: int,
    batch_tokens: int = 32_768,
) -> pl.DataFrame:
    """Return (candidate_id, step_scores) for rows of (candidate_id, question, steps).

    A score is sigmoid(r), the probability of the label ``+`` at a tag: one for each step from
    a process reward model, one for the whole solution from an outcome reward model. Equal
    texts are scored once. Steps past ``max_length`` tokens score 0: the model never saw them.
    """
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    model = load_trained(model_path, torch.bfloat16)
    template = open_template(template, tokenizer)
    tags = Tags.of(tokenizer)
    keyed = solutions.with_columns(text=pl.col("steps").list.join(""))
    texts = keyed.unique(subset=["question", "text"], maintain_order=True)
    units = [steps if kind == "process" else ["".join(steps)] for steps in texts["steps"].to_list()]
    examples = [
        encode_tagged(
            tokenizer, tags, build_prompt(template, question), unit, [0.0] * len(unit), max_length
        )
        for question, unit in zip(texts["question"], units, strict=True)
    ]
    scores = [[0.0] * len(unit) for unit in units]
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].ids))
    for indices in tqdm(_groups(order, examples, batch_tokens), desc=f"score {kind}", unit="batch"):
        batch = pack([examples[index] for index in indices]).to(model.device)
        values = torch.sigmoid(rewards(logits_of(model, batch), batch, tags)).tolist()
        taken = 0
        for index in indices:
            count = len(examples[index].tags)
            scores[index][:count] = values[taken : taken + count]
            taken += count
    scored = texts.select("question", "text").with_columns(
        pl.Series("step_scores", scores, dtype=pl.List(pl.Float64))
    )
    return keyed.join(scored, on=["question", "text"], maintain_order="left").select(
        "candidate_id", "step_scores"
    )


def _groups(order: list[int], examples: list[Example], batch_tokens: int) -> list[list[int]]:
    """Cut indices, sorted by length, into batches of at most ``batch_tokens`` padded tokens."""
    groups: list[list[int]] = [[]]
    for index in order:
        if groups[-1] and (len(groups[-1]) + 1) * len(examples[index].ids) > batch_tokens:
            groups.append([])
        groups[-1].append(index)
    return groups
