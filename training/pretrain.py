"""Pretrain the small base models that the project ships, from nothing.

    python -m training.pretrain --model base-large --out resources/base_models/base-large
    python -m training.pretrain --model base-small --out resources/base_models/base-small

The corpus is unlimited and drawn on the fly from the train split of the word problems: worked
solutions to continue, and flawed ones with the question "?" after each step, to which the
target is "right" or "wrong" (exact, from the oracle; the answer never stands in the input). A
base model thus brings arithmetic and some idea of checking, as a base model that has read the
web does; it has never seen a reward model's tag, and which steps of a generator's solutions
are wrong it is told by nobody but the annotators of the pipeline.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as Tokenizer

from shepherd.mistakes import draw_sum, true_result, write_flawed
from shepherd.word_problems import (
    ITEMS,
    NAMES,
    WordProblem,
    draw_problems,
    judge_steps,
    write_solution,
    write_step,
)
from training.loop import IGNORED, next_tokens
from training.tokenizer import CHECK, RIGHT, WRONG, build_tokenizer


@dataclass(frozen=True)
class Recipe:
    """Size and schedule of one base model. ``check_share`` of the corpus is checking."""

    hidden: int
    layers: int
    steps: int
    check_share: float
    drill_share: float = 0.0
    batch_size: int = 32
    learning_rate: float = 3e-3


RECIPES = {
    "base-small": Recipe(hidden=96, layers=3, steps=900, check_share=0.0),
    "base-large": Recipe(hidden=128, layers=6, steps=4500, check_share=0.6, drill_share=0.7),
}


def build_model(recipe: Recipe, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Return an untrained Llama with heads of 32 and tied embeddings."""
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


Row = tuple[list[int], list[int], str]
"""Input ids, targets (IGNORED where none) and the kind of text."""


def encode_worked(problem: WordProblem, rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Return a right solution to continue; the question is not a target."""
    question = tokenizer.encode(problem.question + "\n")
    solution = tokenizer.encode(write_solution(problem, rng), add_special_tokens=False)
    solution.append(tokenizer.eos_token_id)
    ids = question + solution
    return ids, next_tokens(ids, [False] * len(question) + [True] * len(solution)), "worked"


def encode_checked(problem: WordProblem, rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Return a flawed solution with a "?" after each step, to which the verdict is the target."""
    steps = write_flawed(problem, rng, error_rate=rng.choice((0.0, 0.15, 0.3)))
    verdicts = judge_steps(problem.question, steps)
    question = tokenizer.encode(problem.question + "\n")
    return (*_checked(question, steps, verdicts, tokenizer), "checked")


def encode_drill(rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Return a sheet of unrelated sums in the form of steps, each with a "?" and its verdict."""
    lines, verdicts = [], []
    for index in range(1, 9):
        equation, right = draw_sum(rng)
        verdicts.append(right)
        lines.append(
            write_step(
                index, equation, f"{rng.choice(NAMES)} has", rng.choice(ITEMS), rng.random() < 0.5
            )
        )
    ids, targets = _checked([tokenizer.bos_token_id], lines, verdicts, tokenizer)
    asked = set(tokenizer.convert_tokens_to_ids([CHECK, " ="]))
    # The sums are random: nothing in them can be foretold but results and verdicts.
    return ids, [t if i in asked else IGNORED for i, t in zip(ids, targets, strict=True)], "drill"


def _checked(
    ids: list[int], steps: Sequence[str], verdicts: Sequence[bool], tokenizer: Tokenizer
) -> tuple[list[int], list[int]]:
    """Append the steps with their checks. Steps judged right are also text to continue."""
    check, right, wrong, equals = tokenizer.convert_tokens_to_ids([CHECK, RIGHT, WRONG, " ="])
    ids = list(ids)
    counts = [False] * len(ids)
    answers: dict[int, int] = {}
    for step, verdict in zip(steps, verdicts, strict=True):
        body = tokenizer.encode(step.rstrip("\n"), add_special_tokens=False)
        closing = tokenizer.encode("\n", add_special_tokens=False) if step.endswith("\n") else []
        answers[len(ids) + len(body)] = right if verdict else wrong
        if (result := true_result(step)) is not None:
            answers[len(ids) + body.index(equals)] = tokenizer.convert_tokens_to_ids(f" {result}")
        ids += [*body, check, *closing]
        counts += [verdict] * len(body) + [False] * (1 + len(closing))
    targets = next_tokens(ids, counts)
    for position, answer in answers.items():
        targets[position] = answer
    return ids, targets


def draw_batches(
    recipe: Recipe, seed: int, tokenizer: Tokenizer
) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
    """Yield padded ids and targets, each (batch, length) and int64, and the kind of each row."""
    rng = random.Random(seed)
    drawn = 0
    while True:
        size = 32 * recipe.batch_size
        progress = drawn / (recipe.steps * recipe.batch_size)
        drills = recipe.drill_share * max(0.15, 1 - 2 * progress) if recipe.check_share else 0.0
        num_drills = round(size * drills)
        problems = draw_problems(rng.randrange(2**31), "train", size - num_drills)
        rows = [encode_drill(rng, tokenizer) for _ in range(num_drills)] + [
            (encode_checked if rng.random() < recipe.check_share else encode_worked)(
                problem, rng, tokenizer
            )
            for problem in problems
        ]
        drawn += size
        rows.sort(key=lambda row: len(row[0]))
        groups = [rows[i : i + recipe.batch_size] for i in range(0, size, recipe.batch_size)]
        rng.shuffle(groups)
        for group in groups:
            length = max(len(ids) for ids, *_ in group)
            pad = tokenizer.pad_token_id
            yield (
                torch.tensor([ids + [pad] * (length - len(ids)) for ids, *_ in group]),
                torch.tensor([t + [IGNORED] * (length - len(t)) for _, t, _ in group]),
                [kind for *_, kind in group],
            )


def learning_rate_at(step: int, recipe: Recipe) -> float:
    """Return the rate after linear warm-up (100 steps) and linear decay to zero."""
    warm = min(1.0, (step + 1) / 100)
    return recipe.learning_rate * warm * min(1.0, 2.0 * (1 - step / recipe.steps))


class Hints(nn.Module):
    """Two auxiliary losses that make a small model learn checking in minutes, not hours.

    A verdict compares a written result with the one that the model would have written. So the
    middle layer is asked to know the result already (through the model's own output head), and
    a probe asks the layer before the last, at the written result, whether the two agree. The
    probe is thrown away afterwards: the saved model is an ordinary Llama.
    """

    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.model = [model]  # in a list, so that its parameters are not this module's
        self.agrees = nn.Linear(model.config.hidden_size, 1)

    def forward(
        self,
        hidden: Sequence[torch.Tensor],
        ids: torch.Tensor,
        targets: torch.Tensor,
        knows_result: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss; ``knows_result`` (batch, length) marks "=" with its true result."""
        [model] = self.model
        halfway = hidden[len(hidden) // 2][knows_result]
        early = F.cross_entropy(model.lm_head(model.model.norm(halfway)), targets[knows_result])
        written = hidden[-2][:, 1:][knows_result[:, :-1]]
        agree = (ids[:, 1:] == targets[:, :-1])[knows_result[:, :-1]].float()
        probed = F.binary_cross_entropy_with_logits(self.agrees(written)[:, 0], agree)
        return 0.5 * early + probed


def pretrain(recipe: Recipe, seed: int, log_every: int = 100) -> LlamaForCausalLM:
    """Train a base model; prints step, loss, shares of right sums and verdicts, and speed."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    model = build_model(recipe, tokenizer)
    hints = Hints(model)
    check, equals = tokenizer.convert_tokens_to_ids([CHECK, " ="])
    parameters = [*model.parameters(), *hints.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=0.01, betas=(0.9, 0.98))
    started, num_tokens, total = time.monotonic(), 0, 0.0
    hits: dict[str, list[torch.Tensor]] = {}
    batches = islice(draw_batches(recipe, seed, tokenizer), recipe.steps)
    for step, (ids, targets, kinds) in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, recipe)
        outputs = model(input_ids=ids, use_cache=False, output_hidden_states=True)
        kept = targets != IGNORED
        # A verdict is one token in fifteen and the harder thing to learn.
        weights = 1.0 + 2.0 * (ids == check)[kept]
        losses = F.cross_entropy(outputs.logits[kept], targets[kept], reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        if recipe.check_share:
            loss = loss + hints(outputs.hidden_states, ids, targets, kept & (ids == equals))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        num_tokens += ids.numel()
        total += loss.item()
        right = outputs.logits.argmax(-1) == targets
        for name, token in (("verdicts", check), ("sums", equals)):
            for kind in set(kinds):
                rows = torch.tensor([k == kind for k in kinds])[:, None]
                hits.setdefault(f"{kind} {name}", []).append(right[(ids == token) & kept & rows])
        if step % log_every == 0:
            shares = {name: torch.cat(found).float().mean() for name, found in hits.items()}
            seconds = time.monotonic() - started
            print(
                f"step {step}: loss {total / log_every:.4f}, "
                + ", ".join(f"{name} {share:.3f}" for name, share in sorted(shares.items()))
                + f", {num_tokens / seconds:,.0f} tokens/s, {seconds:.0f} s",
                flush=True,
            )
            hits, total = {}, 0.0
    return model


def main() -> None:
    """Pretrain one of RECIPES and save it as a Hugging Face checkpoint in bfloat16."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", choices=RECIPES, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    args = parser.parse_args()
    recipe = RECIPES[args.model]
    if args.steps:
        recipe = replace(recipe, steps=args.steps)
    model = pretrain(recipe, args.seed)
    model.to(torch.bfloat16).save_pretrained(args.out)
    build_tokenizer().save_pretrained(args.out)


if __name__ == "__main__":
    main()
