"""Draw word problems from a seed."""

import random
from collections.abc import Callable, Iterator
from typing import TypedDict, Unpack

from shepherd.identity import content_id
from shepherd.word_problems.arithmetic import WordProblem, build_problem
from shepherd.word_problems.sentences import ITEMS, MAX_VALUE, NAMES, PHRASES, Sentence


class Fillers(TypedDict, total=False):
    """What fills the phrase of a :class:`Sentence`."""

    who: str
    other: str
    n: int
    m: int
    item: str


def draw_problem(rng: random.Random, num_steps: int) -> WordProblem:
    """Draw a problem of exactly ``num_steps`` steps (2-5 keep all numbers in range)."""
    while True:
        sentences = _draw_sentences(rng, num_steps)
        problem = build_problem(sentences)
        in_range = all(1 <= value <= MAX_VALUE for value in problem.values())
        if len(problem.nodes) == num_steps and in_range:
            return problem


def _draw_sentences(rng: random.Random, num_steps: int) -> list[Sentence]:
    def say(kind: str, **fillers: Unpack[Fillers]) -> Sentence:
        return Sentence(kind, rng.randrange(len(PHRASES[kind])), **fillers)

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
