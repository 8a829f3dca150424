"""Seeded multi-step word problems whose every step an exact oracle can judge.

A problem is a sequence of sentences about who has how many of something. Each sentence that
changes or relates a quantity is one arithmetic node; a solution computes every node once, in
any order in which its operands are known. The question alone determines the problem: the
oracle reads the sentences back, so nothing but the loader knows that the text is synthetic.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shepherd.identity import content_id

MAX_VALUE = 20
"""No right solution meets a larger number; the tokenizer knows twice as many."""

NAMES = ("Tom", "Ann", "Sam", "Mia", "Ben", "Eva", "Max", "Zoe", "Leo", "Ida", "Jon", "Amy")
ITEMS = ("apples", "books", "coins", "cards", "stamps", "shells", "pens", "balls", "eggs", "nuts")

PHRASES = {
    "have": ("{who} has {n} {item}.", "{who} starts with {n} {item}."),
    "gain": ("{who} finds {n} more.", "{who} buys {n} more.", "A friend gives {who} {n} more."),
    "lose": ("{who} loses {n}.", "{who} sells {n}.", "{who} gives away {n}."),
    "times": ("Then {who} has {n} times as many.", "{who} wins until there are {n} times as many."),
    "packs": (
        "{who} gets {n} boxes with {m} {item} each.",
        "{who} picks {m} {item} on each of {n} days.",
    ),
    "more": ("{other} has {n} more than {who}.",),
    "fewer": ("{other} has {n} fewer than {who}.",),
    "multiple": ("{other} has {n} times as many as {who}.",),
    "noise": (
        "{who} is {n} years old.",
        "The shop opens at {n}.",
        "It is day {n} of the month.",
        "{who} has {n} friends.",
    ),
    "ask": ("How many {item} does {who} have now?", "How many {item} are with {who} at the end?"),
    "ask_both": ("How many {item} do {who} and {other} have together?",),
}
"""Sentences by kind. Kinds from ``gain`` to ``multiple`` and ``ask_both`` are arithmetic."""

_FIELDS = {
    "who": r"(?P<who>[A-Z][a-z]+)",
    "other": r"(?P<other>[A-Z][a-z]+)",
    "n": r"(?P<n>\d+)",
    "m": r"(?P<m>\d+)",
    "item": r"(?P<item>[a-z]+)",
}
_PATTERNS = [
    (kind, index, re.compile(re.sub(r"\\{(\w+)\\}", lambda m: _FIELDS[m[1]], re.escape(phrase))))
    for kind, phrases in PHRASES.items()
    for index, phrase in enumerate(phrases)
]
_EQUATION = re.compile(r"(\d+) ([+*-]) (\d+) = (\d+)")
_FINAL = re.compile(r"The answer is: (\d+)\s*\Z")


@dataclass(frozen=True)
class Sentence:
    """One sentence: its kind, its phrase's index in PHRASES[kind] and what fills the phrase."""

    kind: str
    phrase: int
    who: str = ""
    other: str = ""
    n: int = 0
    m: int = 0
    item: str = ""

    def text(self) -> str:
        """Return the English sentence."""
        return PHRASES[self.kind][self.phrase].format(
            who=self.who, other=self.other, n=self.n, m=self.m, item=self.item
        )


Operand = int | tuple[int]
"""A number of the question, or (i,) for the result of node i."""


@dataclass(frozen=True)
class Node:
    """One arithmetic step: ``left op right``, and who has the result ("" for boxes and sums)."""

    op: str
    left: Operand
    right: Operand
    lead: str


@dataclass(frozen=True)
class WordProblem:
    """A question with its arithmetic nodes in the order of the sentences."""

    question: str
    item: str
    nodes: tuple[Node, ...]

    def values(self) -> list[int]:
        """Return the right result of each node."""
        results: list[int] = []
        for node in self.nodes:
            left, right = (_resolve(x, results) for x in (node.left, node.right))
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


def _resolve(operand: Operand, results: Sequence[int]) -> int:
    return operand if isinstance(operand, int) else results[operand[0]]


def apply(op: str, left: int, right: int) -> int:
    """Return ``left op right`` for op in + - *."""
    return {"+": left + right, "-": left - right, "*": left * right}[op]


def read_problem(question: str) -> WordProblem:
    """Read a question back into its arithmetic.

    Raises:
        ValueError: a sentence is not one of PHRASES: the question is not of this world.
    """
    sentences = [_read_sentence(text) for text in re.split(r"(?<=[.?]) ", question.strip())]
    return _build(sentences)


def _read_sentence(text: str) -> Sentence:
    for kind, phrase, pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            fields: dict[str, str] = match.groupdict()
            numbers = {name: int(fields.pop(name)) for name in ("n", "m") if name in fields}
            return Sentence(kind, phrase, **fields, **numbers)  # type: ignore[arg-type]
    raise ValueError(f"not a word problem of this project: sentence {text!r} is unknown")


def _build(sentences: Sequence[Sentence]) -> WordProblem:
    nodes: list[Node] = []
    held: dict[str, Operand] = {}
    item = next(s.item for s in sentences if s.kind == "have")

    def add(op: str, left: Operand, right: Operand, lead: str) -> Operand:
        nodes.append(Node(op, left, right, lead))
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


def draw_problem(rng: random.Random, num_steps: int) -> WordProblem:
    """Draw a problem of exactly ``num_steps`` steps (2-5 keep all numbers in range)."""
    while True:
        sentences = _draw_sentences(rng, num_steps)
        problem = _build(sentences)
        in_range = all(1 <= value <= MAX_VALUE for value in problem.values())
        if len(problem.nodes) == num_steps and in_range:
            return problem


def _draw_sentences(rng: random.Random, num_steps: int) -> list[Sentence]:
    def say(kind: str, **fields: object) -> Sentence:
        return Sentence(kind, rng.randrange(len(PHRASES[kind])), **fields)  # type: ignore[arg-type]

    who, other, third = rng.sample(NAMES, 3)
    item = rng.choice(ITEMS)
    plot = rng.choice(("one", "related", "both"))
    reserved = {"one": 0, "related": 1, "both": 2}[plot]
    story = [say("have", who=who, n=rng.randint(2, 15), item=item)]
    story += _draw_changes(rng, say, num_steps - reserved, who, item)
    if plot != "one":
        kind = rng.choice(("more", "fewer", "multiple"))
        n = rng.randint(2, 4) if kind == "multiple" else rng.randint(2, 9)
        story.append(say(kind, who=who, other=other, n=n))
    if rng.random() < 0.5:
        noise = say("noise", who=third, n=rng.randint(2, 20))
        story.insert(rng.randint(1, len(story)), noise)
    question = {
        "one": say("ask", who=who, item=item),
        "related": say("ask", who=other, item=item),
        "both": say("ask_both", who=who, other=other, item=item),
    }
    return [*story, question[plot]]


def _draw_changes(
    rng: random.Random,
    say: Callable[..., Sentence],
    num_nodes: int,
    who: str,
    item: str,
) -> Iterator[Sentence]:
    while num_nodes > 0:
        kind = rng.choice(("gain", "gain", "lose", "lose", "times", "packs"))
        if kind == "packs" and num_nodes < 2:
            continue
        n = rng.randint(2, 4) if kind in ("times", "packs") else rng.randint(2, 9)
        yield say(kind, who=who, n=n, m=rng.randint(2, 9), item=item)
        num_nodes -= 2 if kind == "packs" else 1


def write_step(index: int, equation: str, lead: str, item: str, wordy: bool) -> str:
    """Return ``Step k: ...`` with its newline; the wordy form says who has how many of what."""
    body = f"{lead} {equation} {item}." if wordy else f"{equation}."
    return f"Step {index}: {body}\n"


def write_solution(problem: WordProblem, rng: random.Random) -> str:
    """Return a right solution; each step is wordy or bare at random, so that many are right."""
    results = problem.values()
    steps = []
    for index, node in enumerate(problem.nodes):
        left, right = _resolve(node.left, results), _resolve(node.right, results)
        equation = f"{left} {node.op} {right} = {results[index]}"
        steps.append(write_step(index + 1, equation, node.lead, problem.item, rng.random() < 0.5))
    return "".join(steps) + f"The answer is: {results[-1]}"


def judge_steps(question: str, steps: Sequence[str]) -> list[bool]:
    """Say of each step whether it and all steps before it are right.

    A step is right if it holds exactly one equation, the equation is true, and it computes a
    node not computed before whose operands are known by then (operands of + and * in either
    order). The last step must also state the gold answer, after all nodes are computed. Words
    around an equation carry no claim.

    Raises:
        ValueError: the question is not of this world.
    """
    problem = read_problem(question)
    results = problem.values()
    pending = set(range(len(problem.nodes)))
    verdicts: list[bool] = []
    for position, step in enumerate(steps):
        node = _computed_node(step, problem, results, pending)
        right = node is not None and all(verdicts)
        pending.discard(-1 if node is None else node)
        if position == len(steps) - 1:
            final = _FINAL.search(step)
            right = right and not pending and final is not None and int(final[1]) == results[-1]
        verdicts.append(right)
    return verdicts


def _computed_node(
    step: str, problem: WordProblem, results: Sequence[int], pending: set[int]
) -> int | None:
    equations = _EQUATION.findall(step)
    if len(equations) != 1:
        return None
    left, op, right, result = equations[0]
    if apply(op, int(left), int(right)) != int(result):
        return None
    for index in sorted(pending):
        node = problem.nodes[index]
        operands = (node.left, node.right)
        known = all(isinstance(x, int) or x[0] not in pending for x in operands)
        written, wanted = (int(left), int(right)), tuple(_resolve(x, results) for x in operands)
        same = written == wanted or (op != "-" and written == wanted[::-1])
        if known and op == node.op and same:
            return index
    return None


def draw_problems(seed: int, split: str, count: int) -> Iterator[WordProblem]:
    """Yield ``count`` distinct problems of a split, 2-5 steps in equal parts.

    One in eight of all questions belongs to ``test`` by its own hash, so that no seed and no
    corpus drawn from ``train`` can contain a test problem.
    """
    rng = random.Random(content_id("word_problems", str(seed), split))
    seen: set[str] = set()
    while len(seen) < count:
        problem = draw_problem(rng, num_steps=2 + len(seen) % 4)
        key = problem.problem_key
        if split_of(key) == split and key not in seen:
            seen.add(key)
            yield problem


def split_of(problem_key: str) -> str:
    """Return the split that a problem belongs to, by its hash."""
    return "test" if int(problem_key, 16) % 8 == 0 else "train"
