"""Pretrain the small base models that the project ships, from random weights.

    python -m training.pretrain --model base-large --out resources/base_models/base-large
    python -m training.pretrain --model base-small --out resources/base_models/base-small

The corpus (:mod:`training.corpus`) teaches arithmetic and the checking of steps, so that a base
model brings what a base model that has read the web brings. A reward model's tag and labels start
as copies of "?", "right" and "wrong". A base has never read solutions of a generator: only the
annotators say which steps of those are wrong.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as Tokenizer

from resources.checkpoints.loading import load_weights
from training.command_line import exit_on_mistake
from training.corpus import CorpusBatch, Mixture, draw_batches
from training.model_files import save_model
from training.outputs import check_out, replacing_checkpoint
from training.packing import IGNORED
from training.schedules import warm_up_then_linear
from training.step_tags import BAD, GOOD, TAG_TEXT
from training.tokenizer import CHECK, RIGHT, WRONG, build_tokenizer

NUM_WARMUP = 100
"""Steps over which the learning rate rises."""


@dataclass(frozen=True)
class Recipe:
    """Size, corpus and schedule of one base model."""

    hidden: int
    """Width; heads have a width of 32."""
    layers: int
    steps: int
    check_share: float
    """Share of checked solutions among solutions."""
    drill_share: float = 0.0
    """Share of drill sheets at the start."""
    batch_size: int = 32
    """Texts a step."""
    learning_rate: float = 3e-3
    """Peak of the learning rate."""

    @property
    def mixture(self) -> Mixture:
        """Return the shares of the kinds of text."""
        return Mixture(self.steps * self.batch_size, self.check_share, self.drill_share)


RECIPES = {
    "base-small": Recipe(hidden=96, layers=3, steps=650, check_share=0.0),
    "base-large": Recipe(hidden=128, layers=6, steps=9000, check_share=0.5, drill_share=0.7),
}


def build_model(recipe: Recipe, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Return an untrained Llama with heads of width 32 and tied embeddings."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=3 * recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.hidden // 32,
        num_key_value_heads=recipe.hidden // 32,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        rope_theta=10_000.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


class Hints(nn.Module):
    """Add two auxiliary losses that make a small model learn checking in minutes, not hours.

    A verdict compares the written token with the token that the model would have written. So the
    first loss trains the middle layer, through the model's own output head, to predict the right
    next token of an equation. The second trains a probe in the layer before the last, at the
    written token, to predict whether the two agree. The probe is not saved: the saved model is an
    ordinary Llama.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.agrees = nn.Linear(hidden_size, 1)

    def forward(
        self, model: LlamaForCausalLM, hidden: Sequence[torch.Tensor], batch: CorpusBatch
    ) -> torch.Tensor:
        """Return the loss; ``hidden`` has one (texts, longest text, width) tensor a layer."""
        targets, is_correction = batch.targets, batch.is_correction
        halfway = hidden[len(hidden) // 2][is_correction]
        early = F.cross_entropy(model.lm_head(model.model.norm(halfway)), targets[is_correction])
        written = hidden[-2][:, 1:][is_correction[:, :-1]]
        agrees = (batch.ids[:, 1:] == targets[:, :-1])[is_correction[:, :-1]].float()
        probed = F.binary_cross_entropy_with_logits(self.agrees(written)[:, 0], agrees)
        return 0.5 * early + probed


class ProgressPrinter:
    """Print step, mean loss, shares of right sums and verdicts, and speed every so many steps."""

    def __init__(self, every: int, check: int, equals: int) -> None:
        self._every = every
        self._tokens = (("verdicts", check), ("sums", equals))
        self._started = time.monotonic()
        self._num_tokens = 0
        self._reset()

    def add(self, step: int, batch: CorpusBatch, logits: torch.Tensor, loss: float) -> None:
        """Count one step; ``logits`` are (texts, longest text, vocabulary)."""
        self._num_tokens += batch.ids.numel()
        self._loss += loss
        is_target, is_hit = batch.targets != IGNORED, logits.argmax(-1) == batch.targets
        for name, token in self._tokens:
            for kind in set(batch.kinds):
                is_kind = torch.tensor([one == kind for one in batch.kinds])[:, None]
                hits = is_hit[(batch.ids == token) & is_target & is_kind]
                self._hits.setdefault(f"{kind} {name}", []).append(hits)
        if step % self._every == 0:
            self._print(step)
            self._reset()

    def _reset(self) -> None:
        self._loss = 0.0
        self._hits: dict[str, list[torch.Tensor]] = {}

    def _print(self, step: int) -> None:
        shares = {name: torch.cat(hits).float().mean() for name, hits in self._hits.items()}
        seconds = time.monotonic() - self._started
        print(
            f"step {step}: loss {self._loss / self._every:.4f}, "
            + ", ".join(f"{name} {share:.3f}" for name, share in sorted(shares.items()))
            + f", {self._num_tokens / seconds:,.0f} tokens/s, {seconds:.0f} s",
            flush=True,
        )


def corpus_loss(logits: torch.Tensor, batch: CorpusBatch, check: int) -> torch.Tensor:
    """Return the cross entropy of the targets, weighted mean over tokens.

    A verdict counts three times: one token in fifteen is a verdict, and it is harder to learn.
    """
    is_target = batch.targets != IGNORED
    weights = 1.0 + 2.0 * (batch.ids == check)[is_target]
    losses = F.cross_entropy(logits[is_target], batch.targets[is_target], reduction="none")
    return (losses * weights).sum() / weights.sum()


def pretrain(
    recipe: Recipe, seed: int, log_every: int = 100, start: Path | None = None
) -> LlamaForCausalLM:
    """Train a base model and print its progress every ``log_every`` steps.

    With a checkpoint ``start`` it trains that with the second half of the recipe.
    """
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    model = build_model(recipe, tokenizer)
    if start is not None:
        model = load_weights(LlamaForCausalLM, start, dtype=torch.float32)
    hints = Hints(recipe.hidden)
    check, equals = tokenizer.convert_tokens_to_ids([CHECK, " ="])
    parameters = [*model.parameters(), *hints.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=0.01, betas=(0.9, 0.98))
    progress = ProgressPrinter(log_every, check, equals)
    first_step = 0 if start is None else recipe.steps // 2
    batches = islice(
        draw_batches(recipe.mixture, recipe.batch_size, seed, tokenizer, first_step),
        recipe.steps - first_step,
    )
    for step, batch in enumerate(batches, start=first_step + 1):
        for group in optimizer.param_groups:
            group["lr"] = warm_up_then_linear(
                step, recipe.steps, peak=recipe.learning_rate, num_warmup=NUM_WARMUP
            )
        outputs = model(input_ids=batch.ids, use_cache=False, output_hidden_states=True)
        loss = corpus_loss(outputs.logits, batch, check)
        if recipe.check_share:
            loss = loss + hints(model, outputs.hidden_states, batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        progress.add(step, batch, outputs.logits, loss.item())
    return model


def copy_reward_tokens(model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    """Copy the embeddings of "?", "right" and "wrong" to the tag and the labels.

    The corpus does not hold the tag and the labels. New tokens usually start from related ones.
    """
    new, related = (
        tokenizer.convert_tokens_to_ids(pieces)
        for pieces in ([TAG_TEXT, GOOD, BAD], [CHECK, RIGHT, WRONG])
    )
    with torch.no_grad():
        weights = model.get_input_embeddings().weight
        weights[new] = weights[related]


def main() -> None:
    """Pretrain one of RECIPES and save it as a Hugging Face checkpoint in bfloat16."""
    parser = argparse.ArgumentParser(
        prog="python -m training.pretrain", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--model", choices=RECIPES, required=True, help="recipe to follow")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default: 0)")
    parser.add_argument("--steps", type=int, help="steps to train (default: the recipe's)")
    parser.add_argument(
        "--start",
        type=Path,
        help="checkpoint folder to train with the second half of the recipe (default: none)",
    )
    args = parser.parse_args()
    if args.start is not None and not args.start.is_dir():
        parser.error(f"--start: no folder {args.start.resolve()}: name a checkpoint folder")
    with exit_on_mistake("python -m training.pretrain"):
        check_out(args.out)
    recipe = RECIPES[args.model]
    if args.steps:
        recipe = replace(recipe, steps=args.steps)
    model = pretrain(recipe, args.seed, start=args.start)
    copy_reward_tokens(model, build_tokenizer())
    with replacing_checkpoint(args.out) as out:
        save_model(model, build_tokenizer(), out)


if __name__ == "__main__":
    main()
