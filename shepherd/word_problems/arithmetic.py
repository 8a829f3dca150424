"""Build the arithmetic of a word problem from its sentences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shepherd.identity import content_id
from shepherd.word_problems.sentences import Sentence, read_sentence

Operand = int | tuple[int]
"""A number of the question, or (i,) for the result of node i."""


@dataclass(frozen=True)
class ArithmeticNode:
    """One arithmetic step, ``left op right``, and the words before its equation in a solution."""

    op: str
    left: Operand
    right: Operand
    lead: str


@dataclass(frozen=True)
class WordProblem:
    """A question with its arithmetic nodes in the order of the sentences."""

    question: str
    item: str
    nodes: tuple[ArithmeticNode, ...]

    def values(self) -> list[int]:
        """Return the right result of each node."""
        results: list[int] = []
        for node in self.nodes:
            left, right = (resolve(x, results) for x in (node.left, node.right))
            results.append(apply(node.op, left, right))
        return results

    @property
    def answer(self) -> int:
        """The gold answer: the result of the last node."""
        return self.values()[-1]

    @property
    def problem_key(self) -> str:
        """A hash of the question, for splits that share no problem."""
        return content_id("word_problem", self.question)


def resolve(operand: Operand, results: Sequence[int]) -> int:
    return operand if isinstance(operand, int) else results[operand[0]]


def apply(op: str, left: int, right: int) -> int:
    """Return ``left op right`` for op in + - *."""
    return {"+": left + right, "-": left - right, "*": left * right}[op]


def read_problem(question: str) -> WordProblem:
    """Read a question back into its arithmetic.

    Raises:
        ValueError: a sentence is not one of PHRASES: the question is not of this world.
    """
    sentences = [read_sentence(text) for text in re.split(r"(?<=[.?]) ", question.strip())]
    return build_problem(sentences)


def build_problem(sentences: Sequence[Sentence]) -> WordProblem:
    nodes: list[ArithmeticNode] = []
    held: dict[str, Operand] = {}
    item = next(s.item for s in sentences if s.kind == "have")

    def add(op: str, left: Operand, right: Operand, lead: str) -> Operand:
        nodes.append(ArithmeticNode(op, left, right, lead))
        return (len(nodes) - 1,)

    for s in sentences:
        match s.kind:
            case "have":
                held[s.who] = s.n
            case "gain":
                held[s.who] = add("+", held[s.who], s.n, f"{s.who} has")
            case "lose":
                held[s.who] = add("-", held[s.who], s.n, f"{s.who} has")
            case "times":
                held[s.who] = add("*", held[s.who], s.n, f"{s.who} has")
            case "packs":
                packed = add("*", s.n, s.m, "There are")
                held[s.who] = add("+", held[s.who], packed, f"{s.who} has")
            case "more":
                held[s.other] = add("+", held[s.who], s.n, f"{s.other} has")
            case "fewer":
                held[s.other] = add("-", held[s.who], s.n, f"{s.other} has")
            case "multiple":
                held[s.other] = add("*", held[s.who], s.n, f"{s.other} has")
            case "ask_both":
                add("+", held[s.who], held[s.other], "Together they have")
    return WordProblem(" ".join(s.text() for s in sentences), item, tuple(nodes))
