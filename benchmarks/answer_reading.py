"""Read how likely a completer holds answers after each prefix, before it generates anything."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn.functional import log_softmax
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, DynamicCache

from benchmarks.annotated import AnnotatedSolutions
from resources.checkpoints.loading import load_tokenizer, load_weights
from resources.engines.checkpoints import stop_ids
from resources.grading import grade_pairs
from shepherd.annotators.problem import SolvedProblem
from shepherd.answers import extract_answer
from shepherd.prompts import build_prompt

MARKS = {"gsm8k": "####", "math": "The answer is:", "word_problems": "The answer is:"}
"""The text before an answer in the gold solutions of each dataset."""


class Candidates(NamedTuple):
    """The answers whose likelihood is read: spellings of the right one, and wrong ones."""

    gold: tuple[str, ...]
    others: tuple[str, ...]


class AnswerLogs(NamedTuple):
    """Logarithms of the probabilities, in nats, of the gold answer and of any other answer.

    ``others`` is None where no other answer was sampled.
    """

    gold: float
    others: float | None


@dataclass(frozen=True)
class Reading:
    """What is read of one problem.

    A served prompt holds question, steps, mark and answers. Each is counted once if prompts begin
    alike: the question once a problem, a step once a prefix, a mark once for all answers behind it.
    """

    logs: Mapping[str, AnswerLogs]
    """By prefix; the empty prefix is the question alone."""

    step_tokens: int
    """Tokens of the question and of the steps."""

    answer_tokens: int
    """Tokens of the marks and of the answers behind them."""

    seconds: float


def candidates_of(work: AnnotatedSolutions) -> dict[str, Candidates]:
    """Return the answers to read of each problem, by its id: those of its solutions and the gold.

    Answers that grading calls equal to the gold answer are spellings of it.
    """
    sampled: dict[str, dict[str, None]] = {}
    for problem_id, text in work.solutions.select("problem_id", "text").iter_rows():
        answer = extract_answer(text)
        of_problem = sampled.setdefault(problem_id, {})
        if answer:
            of_problem[answer.strip()] = None
    candidates = {}
    for problem_id, gold in work.problems.select("problem_id", "gold_answer").iter_rows():
        answers = [*sampled.get(problem_id, {})]
        verdicts = grade_pairs([(gold, answer) for answer in answers])
        graded = list(zip(answers, verdicts, strict=True))
        spellings = dict.fromkeys([gold, *(one for one, verdict in graded if verdict.correct)])
        others = (one for one, verdict in graded if not verdict.correct)
        candidates[problem_id] = Candidates(tuple(spellings), tuple(others))
    return candidates


class _Row(NamedTuple):
    """An answer behind a prefix, as the continuation of a trunk."""

    prefix: str
    is_gold: bool
    trunk: int
    """The number of the trunk: the tokens of a question and of a solution without its end."""
    shared: int
    """How many tokens of the trunk it continues."""
    ids: list[int]
    """The tokens behind those."""
    start: int
    """Where the tokens of the answer begin in ``ids``; at least 1."""


class AnswerReader:
    """Reads answers behind prefixes with a Hugging Face causal language model, in float32.

    Raises:
        ValueError: there is no such checkpoint, or it is damaged.
    """

    def __init__(self, checkpoint: Path | str, template: str, mark: str) -> None:
        self._tokenizer = load_tokenizer(checkpoint)
        self._model = load_weights(AutoModelForCausalLM, checkpoint, dtype=torch.float32).eval()
        self._stops = stop_ids(self._model, self._tokenizer)
        self._template = template
        self._mark = mark

    @torch.inference_mode()
    def read(self, problem: SolvedProblem, candidates: Candidates) -> Reading:
        """Return the likelihoods behind each prefix of a problem's solutions, and the root."""
        started = time.perf_counter()
        text = _Texts(build_prompt(self._template, problem.question), self._mark)
        trunks: list[list[int]] = []
        rows: list[_Row] = []
        lengths: dict[str, int] = {}
        num_step_tokens = num_mark_tokens = 0
        for solution in problem.solutions:
            path = ("", *solution.prefixes)
            fresh = [prefix for prefix in path if prefix not in lengths]
            if not fresh:
                continue
            num_known = max((lengths.get(prefix, 0) for prefix in path), default=0)
            trunk = self._ids(text.prompt + fresh[-1])
            num_step_tokens += len(trunk) - num_known
            for prefix in fresh:
                lengths[prefix] = len(self._ids(text.prompt + prefix))
                num_mark_tokens += len(self._ids(text.before(prefix))) - lengths[prefix]
                rows += self._rows(text, prefix, candidates, trunk, len(trunks))
            trunks.append(trunk)
        num_answer_tokens = num_mark_tokens + sum(len(row.ids) - row.start for row in rows)
        logs = _pooled(rows, self._logs(trunks, rows))
        return Reading(logs, num_step_tokens, num_answer_tokens, time.perf_counter() - started)

    def _rows(
        self, text: "_Texts", prefix: str, candidates: Candidates, trunk: list[int], number: int
    ) -> list[_Row]:
        """Return a row for each answer behind a prefix of a trunk."""
        before = self._ids(text.before(prefix))
        rows = []
        for is_gold, answers in zip((True, False), candidates, strict=True):
            for answer in answers:
                ids = self._ids(f"{text.before(prefix)} {answer}")
                start = _num_shared(ids, before)
                shared = min(_num_shared(ids, trunk), start - 1)
                rows.append(_Row(prefix, is_gold, number, shared, ids[shared:], start - shared))
        return rows

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids

    def _logs(self, trunks: Sequence[list[int]], rows: Sequence[_Row]) -> list[float]:
        """Return the log-probability of each row's answer and the end behind it."""
        cache = DynamicCache()
        trunk = self._model.base_model
        # Padding is on the right, where causal attention never looks.
        padded = pad_sequence([torch.tensor(ids) for ids in trunks], batch_first=True)
        trunk(input_ids=padded, past_key_values=cache, use_cache=True)
        cache.batch_select_indices(torch.tensor([row.trunk for row in rows]))
        ids = pad_sequence([torch.tensor(row.ids) for row in rows], batch_first=True)
        shared = torch.tensor([row.shared for row in rows])
        lengths = torch.tensor([len(row.ids) for row in rows])
        visible = torch.cat(
            [
                torch.arange(padded.shape[1]) < shared[:, None],
                torch.arange(ids.shape[1]) < lengths[:, None],
            ],
            dim=1,
        )
        states = trunk(
            input_ids=ids,
            attention_mask=visible.long(),
            position_ids=shared[:, None] + torch.arange(ids.shape[1]),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        head = self._model.get_output_embeddings()
        return [
            self._log(head(of_row[row.start - 1 : len(row.ids)]), row.ids[row.start :])
            for of_row, row in zip(states, rows, strict=True)
        ]

    def _log(self, logits: torch.Tensor, answer: list[int]) -> float:
        """Return the log-probability of an answer of n tokens and its end, from (n + 1, tokens)."""
        logs = log_softmax(logits.double(), dim=-1)
        of_tokens = logs[torch.arange(len(answer)), answer].sum()
        return float(of_tokens + logs[-1, self._stops].logsumexp(dim=0))


@dataclass(frozen=True)
class _Texts:
    """The texts of the prompts of one problem."""

    prompt: str
    mark: str

    def before(self, prefix: str) -> str:
        """Return the prompt of an answer, which begins on a line of its own."""
        line_end = "" if not prefix or prefix.endswith("\n") else "\n"
        return f"{self.prompt}{prefix}{line_end}{self.mark}"


def _num_shared(ids: Sequence[int], others: Sequence[int]) -> int:
    """Return with how many tokens both begin."""
    pairs = zip(ids, others, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(ids), len(others)))


def _pooled(rows: Sequence[_Row], logs: Sequence[float]) -> dict[str, AnswerLogs]:
    """Add up the probabilities of gold and of other answers behind each prefix."""
    pools: dict[str, tuple[list[float], list[float]]] = {}
    for row, log in zip(rows, logs, strict=True):
        pools.setdefault(row.prefix, ([], []))[not row.is_gold].append(log)
    return {
        prefix: AnswerLogs(_log_sum(gold), _log_sum(others) if others else None)
        for prefix, (gold, others) in pools.items()
    }


def _log_sum(logs: Sequence[float]) -> float:
    return float(torch.tensor(logs, dtype=torch.float64).logsumexp(dim=0))
