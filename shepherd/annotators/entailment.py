"""Entailment between two texts: the type of a model, and the questions to a language model.

A language model answers whether a statement follows from another one, as in the second NLI row of
Math-Shepherd (arXiv 2312.08935, table 4), which is a language model of 13B parameters.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import polars as pl
from pydantic import Field

from shepherd.engine_settings import Checkpoint, EngineSettings
from shepherd.identity import content_id, seed_table
from shepherd.prompts import PromptTemplate, build_prompt
from shepherd.requests import numbered_requests
from shepherd.section import Section

Pair = tuple[str, str]
"""Premise and hypothesis."""

Entails = Callable[[Sequence[Pair]], Sequence[float]]
"""Returns, for each pair, the probability that the premise entails the hypothesis."""

_ANSWER = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


class EntailmentSettings(Section):
    """A language model that answers whether one text follows from another."""

    base: Checkpoint
    template: PromptTemplate = "chat"
    num_votes: int = Field(1, ge=1, description="answers to each question, each a vote")
    temperature: float = Field(0.0, ge=0, description="temperature of answers; 0: greedy")
    max_tokens: int = Field(16, ge=1, description="tokens of an answer at most")
    engine: EngineSettings | None = Field(
        None, description="engine that serves the model; null: the profile's `engine`"
    )


def entailment_task(premise: str, hypothesis: str) -> str:
    """Return the prompt's question: whether the hypothesis follows from the premise."""
    return (
        "Below are two steps of solutions to one math problem.\n\n"
        f"[First step]\n\n{premise.strip()}\n\n[Second step]\n\n{hypothesis.strip()}\n\n"
        "Suppose that the first step is true. Does everything that the second step says follow "
        "from it, with the same numbers? Answer with one word: yes or no."
    )


def entailment_requests(
    pairs: Sequence[Pair],
    *,
    template: str,
    run_seed: int,
    num_votes: int,
    temperature: float,
    max_tokens: int,
) -> pl.DataFrame:
    """Return ``num_votes`` requests for each pair; ids are ``<hash of the pair>:<vote>``.

    The columns are those of ``REQUESTS``, pair_id and vote. ``template`` is as in
    :func:`shepherd.prompts.build_prompt`.
    """
    ids = [content_id(*pair) for pair in pairs]
    prompts = [build_prompt(template, entailment_task(*pair)) for pair in pairs]
    columns = {"pair_id": ids, "prompt": prompts}
    votes = pl.lit(list(range(num_votes)), pl.List(pl.Int64))
    return numbered_requests(
        pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)).with_columns(vote=votes),
        seed_table(run_seed, "entailment", ids, num_votes),
        numbers="vote",
        temperature=temperature,
        max_tokens=max_tokens,
    )


def read_answer(text: str) -> bool | None:
    """Return whether an answer says yes; None if it says neither yes nor no.

    The first of the two words counts. Text before ``</think>`` is ignored.
    """
    match = _ANSWER.search(text.rpartition("</think>")[2])
    return match[1].lower() == "yes" if match else None


def share_of_yes(answers: Iterable[str]) -> float:
    """Return the share of the readable answers that say yes; 0 if none can be read."""
    votes = [vote for vote in map(read_answer, answers) if vote is not None]
    return sum(votes) / len(votes) if votes else 0.0
