"""Pretrain the small base models that the project ships, from nothing.

    python -m training.pretrain --model base-large --out resources/base_models/base-large
    python -m training.pretrain --model base-small --out resources/base_models/base-small

The corpus is unlimited and drawn on the fly from the train split of the word problems: worked
solutions to continue, and flawed ones with the question "?" after each step, to which the
target is "right" or "wrong" (exact, from the oracle; the answer never stands in the input). A
base model thus brings arithmetic and an idea of checking, as a base model that has read the web
does; a reward model's tag and labels start as copies of "?", "right" and "wrong". Solutions of
a generator it has never seen: which steps of those are wrong only the annotators tell.
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

from shepherd.mistakes import Wanted, draw_sum, true_result, write_flawed
from shepherd.word_problems import (
    ITEMS,
    NAMES,
    WordProblem,
    draw_problems,
    judge_steps,
    write_solution,
    write_step,
)
from training.packing import IGNORED, next_tokens
from training.reward_model import BAD, GOOD, STEP_TAG
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
    "base-small": Recipe(hidden=96, layers=3, steps=650, check_share=0.0),
    "base-large": Recipe(hidden=128, layers=6, steps=9000, check_share=0.5, drill_share=0.7),
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


@dataclass(frozen=True)
class Row:
    """One text: its token ids, the target of each position (IGNORED where none), and its kind.

    ``expected`` marks the targets that say what should stand next in an equation whatever is
    written there.
    """

    ids: list[int]
    targets: list[int]
    expected: list[bool]
    kind: str


def encode_worked(problem: WordProblem, rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Return a right solution to continue; the question is not a target."""
    question = tokenizer.encode(problem.question + "\n")
    solution = tokenizer.encode(write_solution(problem, rng), add_special_tokens=False)
    solution.append(tokenizer.eos_token_id)
    ids = question + solution
    targets = next_tokens(ids, [False] * len(question) + [True] * len(solution))
    return Row(ids, targets, [False] * len(ids), "worked")


def encode_checked(problem: WordProblem, rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Return a flawed solution with a "?" after each step, to which the verdict is the target."""
    steps, wanted = write_flawed(problem, rng, error_rate=rng.choice((0.0, 0.15, 0.3)))
    verdicts = judge_steps(problem.question, steps)
    question = tokenizer.encode(problem.question + "\n")
    return _with_checks(question, steps, verdicts, wanted, tokenizer, "checked")


def encode_drill(rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Return a sheet of unrelated sums in the form of steps, each with a "?" and its verdict."""
    lines, verdicts = [], []
    for index in range(1, 9):
        equation, right = draw_sum(rng)
        lead, item, wordy = f"{rng.choice(NAMES)} has", rng.choice(ITEMS), rng.random() < 0.5
        lines.append(write_step(index, equation, lead, item, wordy))
        verdicts.append(right)
    row = _with_checks(
        [tokenizer.bos_token_id], lines, verdicts, [None] * len(lines), tokenizer, "drill"
    )
    check = tokenizer.convert_tokens_to_ids(CHECK)
    # The sums are random: nothing in them can be foretold but results and verdicts.
    foretold = [
        target if expected or token == check else IGNORED
        for token, target, expected in zip(row.ids, row.targets, row.expected, strict=True)
    ]
    return replace(row, targets=foretold)


def _with_checks(
    start: list[int],
    steps: Sequence[str],
    verdicts: Sequence[bool],
    wanted: Sequence[Wanted | None],
    tokenizer: Tokenizer,
    kind: str,
) -> Row:
    """Append the steps with their checks.

    Steps judged right are also text to continue. In wrong ones the targets are the operands,
    the operation and the result that should stand there.
    """
    to_id = tokenizer.convert_tokens_to_ids
    ids, counts = list(start), [False] * len(start)
    corrections: dict[int, int] = {}
    verdict_targets: dict[int, int] = {}
    for step, verdict, equation in zip(steps, verdicts, wanted, strict=True):
        body = tokenizer.encode(step.rstrip("\n"), add_special_tokens=False)
        closing = tokenizer.encode("\n", add_special_tokens=False) if step.endswith("\n") else []
        verdict_targets[len(ids) + len(body)] = to_id(RIGHT if verdict else WRONG)
        if (result := true_result(step)) is not None:
            equals = len(ids) + body.index(to_id(" ="))
            corrections[equals] = to_id(f" {result}")
            for offset, piece in zip((-4, -3, -2), equation or (), strict=False):
                corrections[equals + offset] = to_id(f" {piece}")
        ids += [*body, to_id(CHECK), *closing]
        counts += [verdict] * len(body) + [False] * (1 + len(closing))
    targets = next_tokens(ids, counts)
    for position, target in (corrections | verdict_targets).items():
        targets[position] = target
    return Row(ids, targets, [position in corrections for position in range(len(ids))], kind)


def draw_batches(
    recipe: Recipe, seed: int, tokenizer: Tokenizer, first_step: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]]:
    """Yield padded ids, targets and expected, each (batch, length), and the kind of each row."""
    rng = random.Random(seed)
    drawn = first_step * recipe.batch_size
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
        rows.sort(key=lambda row: len(row.ids))
        groups = [rows[i : i + recipe.batch_size] for i in range(0, size, recipe.batch_size)]
        rng.shuffle(groups)
        for group in groups:
            length = max(len(row.ids) for row in group)
            pad = tokenizer.pad_token_id
            yield (
                torch.tensor([row.ids + [pad] * (length - len(row.ids)) for row in group]),
                torch.tensor([row.targets + [IGNORED] * (length - len(row.ids)) for row in group]),
                torch.tensor([row.expected + [False] * (length - len(row.ids)) for row in group]),
                [row.kind for row in group],
            )


def learning_rate_at(step: int, recipe: Recipe) -> float:
    """Return the rate after linear warm-up (100 steps) and linear decay to zero."""
    warm = min(1.0, (step + 1) / 100)
    return recipe.learning_rate * warm * min(1.0, 2.0 * (1 - step / recipe.steps))


class Hints(nn.Module):
    """Two auxiliary losses that make a small model learn checking in minutes, not hours.

    A verdict compares what is written with what the model would have written. So the middle
    layer is asked to know already what should stand next in an equation (through the model's
    own output head), and a probe asks the layer before the last, at what does stand there,
    whether the two agree. The probe is thrown away afterwards: the saved model is an ordinary
    Llama.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.agrees = nn.Linear(hidden_size, 1)

    def forward(
        self,
        model: LlamaForCausalLM,
        hidden: Sequence[torch.Tensor],
        ids: torch.Tensor,
        targets: torch.Tensor,
        expected: torch.Tensor,
    ) -> torch.Tensor:
        """Return the loss; all but ``hidden`` (one (batch, length, width) a layer) as in Row."""
        halfway = hidden[len(hidden) // 2][expected]
        early = F.cross_entropy(model.lm_head(model.model.norm(halfway)), targets[expected])
        written = hidden[-2][:, 1:][expected[:, :-1]]
        agree = (ids[:, 1:] == targets[:, :-1])[expected[:, :-1]].float()
        probed = F.binary_cross_entropy_with_logits(self.agrees(written)[:, 0], agree)
        return 0.5 * early + probed


def pretrain(
    recipe: Recipe, seed: int, log_every: int = 100, start: Path | None = None
) -> LlamaForCausalLM:
    """Train a base model; prints step, loss, shares of right sums and verdicts, and speed.

    From a checkpoint (``start``) it goes on with the second half of the recipe.
    """
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    model = build_model(recipe, tokenizer)
    if start is not None:
        model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
    hints = Hints(recipe.hidden)
    check, equals = tokenizer.convert_tokens_to_ids([CHECK, " ="])
    parameters = [*model.parameters(), *hints.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.0, weight_decay=0.01, betas=(0.9, 0.98))
    started, num_tokens, total = time.monotonic(), 0, 0.0
    hits: dict[str, list[torch.Tensor]] = {}
    first_step = 0 if start is None else recipe.steps // 2
    batches = draw_batches(recipe, seed, tokenizer, first_step)
    batches = islice(batches, recipe.steps - first_step)
    for step, (ids, targets, expected, kinds) in enumerate(batches, start=first_step + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, recipe)
        outputs = model(input_ids=ids, use_cache=False, output_hidden_states=True)
        kept = targets != IGNORED
        # A verdict is one token in fifteen and the harder thing to learn.
        weights = 1.0 + 2.0 * (ids == check)[kept]
        losses = F.cross_entropy(outputs.logits[kept], targets[kept], reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        if recipe.check_share:
            loss = loss + hints(model, outputs.hidden_states, ids, targets, expected)
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


def seed_reward_tokens(model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    """Let the tokens of a reward model start as copies of "?", "right" and "wrong".

    They do not occur in the corpus, and new tokens usually start from related ones.
    """
    new, related = (
        tokenizer.convert_tokens_to_ids(pieces)
        for pieces in ([STEP_TAG, GOOD, BAD], [CHECK, RIGHT, WRONG])
    )
    with torch.no_grad():
        weights = model.get_input_embeddings().weight
        weights[new] = weights[related]


def main() -> None:
    """Pretrain one of RECIPES and save it as a Hugging Face checkpoint in bfloat16."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", choices=RECIPES, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument(
        "--start", type=Path, help="checkpoint to go on from, with the recipe's second half"
    )
    args = parser.parse_args()
    recipe = RECIPES[args.model]
    if args.steps:
        recipe = replace(recipe, steps=args.steps)
    model = pretrain(recipe, args.seed, start=args.start)
    seed_reward_tokens(model, build_tokenizer())
    model.to(torch.bfloat16).save_pretrained(args.out)
    build_tokenizer().save_pretrained(args.out)


if __name__ == "__main__":
    main()
