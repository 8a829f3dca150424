r"""Labels by a language model that names the first wrong step (ProcessBench, arXiv 2412.06559).

As in the paper, the prompt numbers the steps as paragraphs from 0. The model answers with the
index of the first wrong paragraph in ``\boxed{}``, or -1.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field

from shepherd.annotators.annotator import AnnotatorSettings, LabelInputs
from shepherd.annotators.problem import Label, label_frame
from shepherd.engine_settings import Checkpoint, EngineSettings
from shepherd.identity import seed_table
from shepherd.prompts import PromptTemplate, build_prompt
from shepherd.requests import numbered_requests
from shepherd.schemas import CRITIQUES
from shepherd.thoughts import thought_end

NO_ERROR = -1

_BOXED = re.compile(r"\\boxed[ ]?\{((?:[^{}]|\{[^{}]*\})*)\}")
_INDEX = re.compile(
    r"(?:\\(?:text|mathrm|textbf)\{)?[ ]*(?:paragraph[ _]*)?([-−]?\d{1,4})[ ]*\}?", re.IGNORECASE
)


def critique_task(question: str, steps: Sequence[str]) -> str:
    """Return the prompt's question: the problem, its solution in paragraphs, and the task."""
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
) -> pl.DataFrame:
    """Return ``num_votes`` requests for each solution; ids are ``<solution_id>:<vote>``.

    The columns are those of ``REQUESTS``, and solution_id, problem_id and vote. ``template`` is as
    in :func:`shepherd.prompts.build_prompt`. Solutions of one problem follow each other, as their
    prompts share a beginning.
    """
    gathered = (
        steps.sort("problem_id", "solution_id", "step_index")
        .group_by("problem_id", "solution_id", maintain_order=True)
        .agg("text")
        .join(problems.select("problem_id", "question"), on="problem_id", maintain_order="left")
    )
    prompts = [
        build_prompt(template, critique_task(question, texts))
        for question, texts in gathered.select("question", "text").iter_rows()
    ]
    return numbered_requests(
        gathered.select(
            "solution_id",
            "problem_id",
            pl.Series("prompt", prompts, dtype=pl.String),
            vote=pl.lit(list(range(num_votes)), pl.List(pl.Int64)),
        ),
        seed_table(run_seed, "judge", gathered["solution_id"].to_list(), num_votes),
        numbers="vote",
        temperature=temperature,
        max_tokens=max_tokens,
    )


def read_vote(text: str, num_steps: int) -> int | None:
    r"""Return the index in the last ``\boxed{}`` of an answer, or -1; None if unparsable.

    A thought is ignored, and one that is not closed has no vote. An index that names no paragraph
    is unparsable.
    """
    boxes = _BOXED.findall(text, thought_end(text))
    match = _INDEX.fullmatch(boxes[-1].strip(" \t\r\n$\"'`.<>/")) if boxes else None
    if match is None:
        return None
    index = int(match[1].replace("−", "-"))
    return index if NO_ERROR <= index < num_steps else None


def collect_critiques(drawn: pl.DataFrame, steps: pl.DataFrame, judge: str) -> pl.DataFrame:
    """Return the completions of :func:`judge_requests` as ``critiques``.

    ``drawn`` holds the requests with the columns of their completions. A critique that was cut, or
    failed, has no vote.
    """
    lengths = dict(steps.select("solution_id", "num_steps").iter_rows())
    answers = drawn.select("solution_id", "text", "finish_reason").iter_rows()
    named = [
        read_vote(text if finish_reason == "stop" else "", lengths[solution_id])
        for solution_id, text, finish_reason in answers
    ]
    # Paragraphs are numbered from 0, steps from 1.
    numbered = [index if index in (None, NO_ERROR) else index + 1 for index in named]
    return drawn.with_columns(
        pl.Series("first_error", numbered, dtype=pl.Int64), judge=pl.lit(judge)
    ).select(CRITIQUES.schema.keys())


def judge_labels(steps: pl.DataFrame, critiques: pl.DataFrame) -> pl.DataFrame:
    """Return ``step_labels`` of the annotator ``judge`` from its ``critiques``.

    The first wrong step is the one with the most votes; a tie goes to the vote drawn first. A
    solution without votes stays unlabelled. All steps before the first wrong one are right (hard
    1), the others are wrong. This includes the last step, so that no gold answer is needed. Soft is
    the share of the votes that put the first error after the step.
    """
    votes = (
        critiques.drop_nulls("first_error")
        .sort("vote")
        .group_by("solution_id", maintain_order=True)
        .agg("first_error")
    )
    gathered = (
        steps.sort("solution_id", "step_index")
        .group_by("solution_id", maintain_order=True)
        .agg("step_id")
        .join(votes, on="solution_id")
    )
    labels: dict[str, Label] = {}
    for _, step_ids, named in gathered.iter_rows():
        labels.update(zip(step_ids, _labels(named, len(step_ids)), strict=True))
    return label_frame("judge", steps, labels)


def _labels(votes: Sequence[int], num_steps: int) -> list[Label]:
    num_right = [num_steps if vote == NO_ERROR else vote - 1 for vote in votes]
    elected, _ = Counter(num_right).most_common(1)[0]
    return [
        Label(
            hard=int(index < elected),
            soft=sum(index < right for right in num_right) / len(num_right),
        )
        for index in range(num_steps)
    ]


class JudgeSettings(AnnotatorSettings):
    """A language model that names the first wrong step of each solution, by votes."""

    READS = (*AnnotatorSettings.READS, "critiques")

    kind: Literal["judge"] = Field("judge", description="the annotator")
    base: Checkpoint
    template: PromptTemplate = "chat"
    num_votes: int = Field(
        8,
        ge=1,
        description="critiques of each solution, of which the majority decides; ProcessBench "
        "(arXiv 2412.06559) takes 8",
    )
    temperature: float = Field(0.7, ge=0, description="temperature of critiques; 0: greedy")
    max_tokens: int = Field(2048, ge=1, description="tokens of a critique at most")
    engine: EngineSettings | None = Field(
        None, description="engine that serves the judge; null: the profile's `engine`"
    )

    def label_steps(self, inputs: LabelInputs) -> pl.DataFrame:
        """Return ``step_labels``."""
        return judge_labels(inputs.steps, inputs.critiques)
