"""Draw the pretraining corpus of the small base models from the train split of word problems.

A text is a worked solution to continue, a checked solution or a drill sheet. A checked solution is
flawed and has the question "?" after each step; the target there is "right" or "wrong", exact by
the oracle. The input never contains the verdict. A drill sheet has unrelated sums, each
with the same question.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedTokenizerFast as Tokenizer

from shepherd.mistakes import Computation, draw_sum, true_result, write_flawed
from shepherd.word_problems import (
    ITEMS,
    NAMES,
    WordProblem,
    draw_problems,
    judge_steps,
    write_solution,
    write_step,
)
from training.episodes import padded
from training.packing import IGNORED, next_tokens
from training.tokenizer import CHECK, RIGHT, WRONG

BATCHES_PER_DRAW = 32
"""Batches that are drawn together, so that texts of similar length share a batch."""


@dataclass(frozen=True)
class Mixture:
    """Shares of the kinds of text, over a run of ``num_texts`` texts."""

    num_texts: int
    check_share: float
    """Share of checked solutions among solutions. Without any there are no drills either."""
    drill_share: float
    """Share of drill sheets at the start. It falls to 15 % of itself."""

    def drill_share_after(self, num_drawn: int) -> float:
        """Return the share of drill sheets once ``num_drawn`` texts are drawn."""
        progress = num_drawn / self.num_texts
        return self.drill_share * max(0.15, 1 - 2 * progress) if self.check_share else 0.0


@dataclass(frozen=True)
class CorpusText:
    """One text; the lists have one entry a token."""

    ids: list[int]
    targets: list[int]
    """Token to predict at each position, or IGNORED."""
    is_correction: list[bool]
    """Whether the target is what should stand next in an equation, whatever is written there."""
    kind: str
    """``worked``, ``checked`` or ``drill``."""


@dataclass(frozen=True)
class CorpusBatch:
    """Texts padded on the right; tensors are (texts, longest text)."""

    ids: torch.Tensor
    targets: torch.Tensor
    is_correction: torch.Tensor
    kinds: list[str]

    @classmethod
    def of(cls, texts: Sequence[CorpusText], pad_token_id: int) -> "CorpusBatch":
        """Pad texts."""
        return cls(
            padded([text.ids for text in texts], pad_token_id),
            padded([text.targets for text in texts], IGNORED),
            padded([text.is_correction for text in texts], False),
            [text.kind for text in texts],
        )


def draw_batches(
    mixture: Mixture, batch_size: int, seed: int, tokenizer: Tokenizer, first_step: int = 0
) -> Iterator[CorpusBatch]:
    """Yield batches of ``batch_size`` texts of similar lengths, without end.

    ``first_step`` sets where in the mixture's schedule the batches begin.
    """
    rng = random.Random(seed)
    num_drawn = first_step * batch_size
    while True:
        num_texts = BATCHES_PER_DRAW * batch_size
        num_drills = round(num_texts * mixture.drill_share_after(num_drawn))
        problems = draw_problems(rng.randrange(2**31), "train", num_texts - num_drills)
        texts = [encode_drill(rng, tokenizer) for _ in range(num_drills)] + [
            (encode_checked if rng.random() < mixture.check_share else encode_worked)(
                problem, rng, tokenizer
            )
            for problem in problems
        ]
        num_drawn += num_texts
        texts.sort(key=lambda text: len(text.ids))
        groups = [texts[i : i + batch_size] for i in range(0, num_texts, batch_size)]
        rng.shuffle(groups)
        for group in groups:
            yield CorpusBatch.of(group, tokenizer.pad_token_id)


def encode_worked(problem: WordProblem, rng: random.Random, tokenizer: Tokenizer) -> CorpusText:
    """Return a right solution to continue; the question is not a target."""
    question = tokenizer.encode(problem.question + "\n")
    solution = tokenizer.encode(write_solution(problem, rng), add_special_tokens=False)
    solution.append(tokenizer.eos_token_id)
    ids = question + solution
    targets = next_tokens(ids, [False] * len(question) + [True] * len(solution))
    return CorpusText(ids, targets, [False] * len(ids), "worked")


def encode_checked(problem: WordProblem, rng: random.Random, tokenizer: Tokenizer) -> CorpusText:
    """Return a flawed solution with a "?" after each step; the verdict is the target there."""
    steps, equations = write_flawed(problem, rng, error_rate=rng.choice((0.0, 0.15, 0.3)))
    verdicts = judge_steps(problem.question, steps)
    question = tokenizer.encode(problem.question + "\n")
    return _with_checks(question, steps, verdicts, equations, tokenizer, "checked")


def encode_drill(rng: random.Random, tokenizer: Tokenizer) -> CorpusText:
    """Return a sheet of unrelated sums in the form of steps, each with a "?" and its verdict."""
    lines, verdicts = [], []
    for index in range(1, 9):
        equation, is_right = draw_sum(rng)
        lead, item, wordy = f"{rng.choice(NAMES)} has", rng.choice(ITEMS), rng.random() < 0.5
        lines.append(write_step(index, equation, lead, item, wordy))
        verdicts.append(is_right)
    text = _with_checks(
        [tokenizer.bos_token_id], lines, verdicts, [None] * len(lines), tokenizer, "drill"
    )
    check = tokenizer.convert_tokens_to_ids(CHECK)
    # The sums are random: only results and verdicts can be predicted.
    targets = [
        target if is_correction or token == check else IGNORED
        for token, target, is_correction in zip(
            text.ids, text.targets, text.is_correction, strict=True
        )
    ]
    return replace(text, targets=targets)


def _with_checks(
    start: list[int],
    steps: Sequence[str],
    verdicts: Sequence[bool],
    equations: Sequence[Computation | None],
    tokenizer: Tokenizer,
    kind: str,
) -> CorpusText:
    """Append the steps with their checks.

    Right steps are also text to continue. In wrong steps the targets are the operands, the
    operation and the result that would be right.
    """
    to_id = tokenizer.convert_tokens_to_ids
    ids, is_target = list(start), [False] * len(start)
    corrections: dict[int, int] = {}
    verdict_targets: dict[int, int] = {}
    for step, verdict, equation in zip(steps, verdicts, equations, strict=True):
        body = tokenizer.encode(step.rstrip("\n"), add_special_tokens=False)
        closing = tokenizer.encode("\n", add_special_tokens=False) if step.endswith("\n") else []
        verdict_targets[len(ids) + len(body)] = to_id(RIGHT if verdict else WRONG)
        if (result := true_result(step)) is not None:
            equals = len(ids) + body.index(to_id(" ="))
            corrections[equals] = to_id(f" {result}")
            for offset, piece in zip((-4, -3, -2), equation or (), strict=False):
                corrections[equals + offset] = to_id(f" {piece}")
        ids += [*body, to_id(CHECK), *closing]
        is_target += [verdict] * len(body) + [False] * (1 + len(closing))
    targets = next_tokens(ids, is_target)
    for position, target in (corrections | verdict_targets).items():
        targets[position] = target
    is_correction = [position in corrections for position in range(len(ids))]
    return CorpusText(ids, targets, is_correction, kind)
