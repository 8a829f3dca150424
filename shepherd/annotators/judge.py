r"""Labels by a language model that is asked for the first wrong step (ProcessBench).

The task is put as in arXiv 2412.06559: the steps are numbered paragraphs, and the answer is the
index (from 0) of the first wrong one in ``\boxed{}``, or -1.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from shepherd.annotators.problem import Label, label_frame
from shepherd.identity import derive_seed
from shepherd.prompts import build_prompt
from shepherd.requests import Completion, Request

NO_ERROR = -1

_BOXED = re.compile(r"\\boxed[ ]?\{((?:[^{}]|\{[^{}]*\})*)\}")
_INDEX = re.compile(
    r"(?:\\(?:text|mathrm|textbf)\{)?[ ]*(?:paragraph[ _]*)?([-−]?\d{1,4})[ ]*\}?", re.IGNORECASE
)


def critique_task(question: str, steps: Sequence[str]) -> str:
    """Return the task in words: the problem, its solution in paragraphs, and what to answer."""
    paragraphs = "\n\n".join(
        f"<paragraph_{index}>\n{step.strip()}\n</paragraph_{index}>"
        for index, step in enumerate(steps)
    )
    return (
        "Below are a math problem and a solution to it. The solution is cut into paragraphs, "
        "which are enclosed with tags and numbered from 0.\n\n"
        f"[Math Problem]\n\n{question.strip()}\n\n[Solution]\n\n{paragraphs}\n\n"
        "Review the solution paragraph by paragraph. As soon as a paragraph holds an error, "
        "answer with its number: that of the earliest paragraph with an error. If no paragraph "
        "holds one, answer with -1.\n\n"
        r"Put your final answer (the number alone) in \boxed{}."
    )


def judge_requests(
    steps: pl.DataFrame,
    problems: pl.DataFrame,
    *,
    template: str,
    run_seed: int,
    num_votes: int,
    temperature: float,
    max_tokens: int,
) -> list[Request]:
    """Return ``num_votes`` requests for each solution; ids are ``<solution_id>:<index>``.

    ``template`` is the judge's, as in :func:`shepherd.prompts.build_prompt`. Solutions of one
    problem stand together: their prompts begin alike.
    """
    gathered = (
        steps.sort("problem_id", "solution_id", "step_index")
        .group_by("problem_id", "solution_id", maintain_order=True)
        .agg("text")
        .join(problems.select("problem_id", "question"), on="problem_id", maintain_order="left")
    )
    requests = []
    for solution_id, question, texts in gathered.select(
        "solution_id", "question", "text"
    ).iter_rows():
        prompt = build_prompt(template, critique_task(question, texts))
        for index in range(num_votes):
            seed = derive_seed(run_seed, "judge", solution_id, index)
            requests.append(
                Request(f"{solution_id}:{index}", prompt, seed, temperature, max_tokens)
            )
    return requests


def read_vote(text: str, num_steps: int) -> int | None:
    r"""Return the index in the last ``\boxed{}`` of an answer, or -1; None if unparsable.

    What stands before ``</think>`` does not count. An index that names no paragraph is unparsable.
    """
    boxes = _BOXED.findall(text.rpartition("</think>")[2])
    match = _INDEX.fullmatch(boxes[-1].strip(" \t\r\n$\"'`.<>/")) if boxes else None
    if match is None:
        return None
    index = int(match[1].replace("−", "-"))
    return index if NO_ERROR <= index < num_steps else None


@dataclass(frozen=True)
class Judged:
    """The labels of a judge, and how its answers could be read."""

    labels: pl.DataFrame
    num_answers: int
    num_unparsable: int
    """Answers without an index; they have no vote."""
    num_unlabelled: int
    """Solutions without any vote."""


def judge_labels(steps: pl.DataFrame, completions: Sequence[Completion]) -> Judged:
    """Return ``step_labels`` of the annotator ``judge`` from answers to :func:`judge_requests`.

    The first wrong step is what most votes name; of equally many, the vote that was drawn first.
    An answer that was cut has no vote. All steps before it are right (hard = 1), all from it on
    wrong, the last step included: the gold answer is not needed. Soft is the share of votes by
    which a step comes before any error.
    """
    answers = defaultdict(list)
    for completion in completions:
        solution_id, index = completion.request_id.rsplit(":", 1)
        whole = completion.text if completion.finish_reason == "stop" else ""
        answers[solution_id].append((int(index), whole))
    labels: dict[str, Label] = {}
    num_answers = num_unparsable = num_unlabelled = 0
    gathered = (
        steps.sort("solution_id", "step_index")
        .group_by("solution_id", maintain_order=True)
        .agg("step_id")
    )
    for solution_id, step_ids in gathered.iter_rows():
        found = [read_vote(text, len(step_ids)) for _, text in sorted(answers[solution_id])]
        votes = [vote for vote in found if vote is not None]
        num_answers += len(found)
        num_unparsable += len(found) - len(votes)
        num_unlabelled += not votes
        labels.update(zip(step_ids, _labels(votes, len(step_ids)), strict=False))
    return Judged(label_frame("judge", steps, labels), num_answers, num_unparsable, num_unlabelled)


def _labels(votes: Sequence[int], num_steps: int) -> list[Label]:
    if not votes:
        return []
    num_right = [num_steps if vote == NO_ERROR else vote for vote in votes]
    elected, _ = Counter(num_right).most_common(1)[0]
    return [
        Label(
            hard=int(index < elected),
            soft=sum(index < right for right in num_right) / len(num_right),
        )
        for index in range(num_steps)
    ]
