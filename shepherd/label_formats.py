r"""Step labels as others publish them: rows of four formats, read and written.

``math_shepherd``: ``input`` is the question, a space, and the solution with the tag ``ки`` after
each step (``Step 1: ... ки\nStep 2: ... ки``); ``label`` is the same text with ``+`` or ``-`` for
each tag; ``task`` is GSM8K or MATH (arXiv 2312.08935).

``prm800k``: a tree of rated steps, as published in two phases (arXiv 2305.20050).

``trl`` and ``trl_float``: ``prompt``, ``completions`` and ``labels``, one each step (TRL's
stepwise supervision).

``processbench``: ``problem``, ``steps`` and ``label``, the index of the first wrong step from 0 or
-1 (arXiv 2412.06559).

Readers take one decoded JSON value and raise ValueError with the field and the reason. A row may
hold no labels, or several solutions.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import polars as pl

from shepherd.datasets import require_fields, require_text
from shepherd.identity import content_id
from shepherd.schemas import LABELED_SOLUTIONS

PublishedFormat = Literal["math_shepherd", "prm800k", "trl", "processbench"]
"""Formats that labels are read from."""

ExportFormat = Literal["math_shepherd", "trl", "trl_float", "processbench"]
"""Formats that labels are written in."""

STEP_TAG = "ки"

_STEP_ONE = ("Step 1:", "step 1:")
_UNTAGGED_STEP = re.compile(r"\n[ \t]*Step (\d+):")
_ANSWER_HEADING = "# Answer"
_TESTS_OF_LABELLERS = ("is_quality_control_question", "is_initial_screening_question")


class LabeledSolution(NamedTuple):
    """A solution in steps, at least one, each with its closing separator, and a label for each.

    ``soft`` is None for a step whose source gives no probability. ``is_correct`` is what the
    source says of the whole solution, or else the label of its last step.
    """

    question: str
    steps: tuple[str, ...]
    hard: tuple[int, ...]
    soft: tuple[float | None, ...]
    is_correct: bool
    task: str = ""
    generator: str = "imported"


def labeled_frame(
    solutions: Sequence[LabeledSolution], annotator: str, dataset: str | None
) -> pl.DataFrame:
    """Return ``labeled_solutions`` of the solutions, in order.

    The question keeps its outer whitespace, so that it can be written out as it came; the
    problem's id does not depend on it. Without ``dataset`` each solution's task is its dataset.
    """
    datasets = [dataset or solution.task for solution in solutions]
    problem_ids = [
        content_id(name, solution.question.strip())
        for name, solution in zip(datasets, solutions, strict=True)
    ]
    columns = {
        "solution_id": [
            content_id(problem_id, solution.generator, "".join(solution.steps))
            for problem_id, solution in zip(problem_ids, solutions, strict=True)
        ],
        "problem_id": problem_ids,
        "dataset": datasets,
        "annotator": [annotator] * len(datasets),
        "question": [solution.question for solution in solutions],
        "is_correct": [solution.is_correct for solution in solutions],
    }
    # Gathering flat columns takes a quarter of the time that lists of lists take.
    flat = {
        "row": [row for row, solution in enumerate(solutions) for _ in solution.steps],
        "steps": list(chain.from_iterable(solution.steps for solution in solutions)),
        "hard": list(chain.from_iterable(solution.hard for solution in solutions)),
        "soft": list(chain.from_iterable(solution.soft for solution in solutions)),
    }
    schema = {"row": pl.Int64, "steps": pl.String, "hard": pl.Int64, "soft": pl.Float64}
    lists = pl.DataFrame(flat, schema=schema).group_by("row", maintain_order=True).agg(pl.all())
    scalars = {name: LABELED_SOLUTIONS.schema[name] for name in columns}
    frame = pl.DataFrame(columns, schema=scalars).hstack(lists.drop("row"))
    return frame.select(LABELED_SOLUTIONS.schema.keys())


def parse_math_shepherd(row: object) -> LabeledSolution:
    """Read a row of the published Math-Shepherd data; a row with misplaced tags is refused.

    The question ends before the last ``Step 1:`` that precedes the first tag, or where there is
    none after the only question mark there.

    Raises:
        ValueError: a field is missing or not text; ``label`` is not ``input`` with a sign for
            each tag; or a tag stands in the question, inside a line or before more text, closes
            nothing, or is missing after a step.
    """
    fields = require_fields(row)
    text, labels = require_text(fields, "input"), require_text(fields, "label")
    pieces = text.split(STEP_TAG)
    if len(pieces) == 1:
        raise ValueError(f"input: has no tag {STEP_TAG}")
    hard = _signs(pieces, labels)
    question, first = _cut_question(pieces)
    steps = _tagged_steps([first, *pieces[1:]])
    return LabeledSolution(
        question=question,
        steps=steps,
        hard=hard,
        soft=(None,) * len(hard),
        is_correct=hard[-1] == 1,
        task=require_text(fields, "task"),
    )


def render_math_shepherd(solution: LabeledSolution) -> dict[str, object]:
    """Write a row of the published Math-Shepherd data.

    A step that is not closed by a newline gets one, unless it is the last.

    Raises:
        ValueError: question or steps hold the tag themselves.
    """
    if any(STEP_TAG in text for text in (solution.question, *solution.steps)):
        raise ValueError(f"steps: the text holds the tag {STEP_TAG} already")
    bodies = [step.rstrip("\n") for step in solution.steps]
    closings = [step[len(body) :] for step, body in zip(solution.steps, bodies, strict=True)]
    closings = [*(closing or "\n" for closing in closings[:-1]), closings[-1]]

    def tagged(tags: Sequence[str]) -> str:
        parts = zip(bodies, tags, closings, strict=True)
        steps = (f"{body} {tag}{closing}" for body, tag, closing in parts)
        return f"{solution.question} {''.join(steps)}"

    return {
        "input": tagged([STEP_TAG] * len(bodies)),
        "label": tagged(["+" if label else "-" for label in solution.hard]),
        "task": solution.task,
    }


def _signs(pieces: Sequence[str], labels: str) -> tuple[int, ...]:
    """Return the label of each tag: ``labels`` is the pieces with a sign between each two."""
    position, hard = 0, []
    for number, piece in enumerate(pieces[:-1], start=1):
        if not labels.startswith(piece, position):
            raise ValueError(f"label: differs from input before tag {number}")
        position += len(piece)
        sign = labels[position : position + 1]
        if sign not in ("+", "-"):
            raise ValueError(f"label: has {sign!r} for tag {number}, not + or -")
        hard.append(1 if sign == "+" else 0)
        position += 1
    if labels[position:] != pieces[-1]:
        raise ValueError("label: differs from input after the last tag")
    return tuple(hard)


def _cut_question(pieces: Sequence[str]) -> tuple[str, str]:
    """Return question and first step of the text before the first tag."""
    head = pieces[0]
    cut = max(map(head.rfind, _STEP_ONE))
    if cut < 0:
        cut = _question_mark(pieces)
    question = head[:cut].removesuffix(" ")
    if not question or question.isspace():
        raise ValueError("input: has no question before 'Step 1:'")
    return question, head[cut:]


def _question_mark(pieces: Sequence[str]) -> int:
    """Return where the first step begins that no ``Step 1:`` opens: after the question mark."""
    if any(mark in piece for mark in _STEP_ONE for piece in pieces[1:]):
        raise ValueError("input: a tag stands in the question")
    question, mark, steps = pieces[0].partition("?")
    if not mark or "?" in steps:
        raise ValueError("input: has no 'Step 1:', so that question and solution run together")
    return len(question) + 1 + steps.startswith(" ")


def _tagged_steps(pieces: Sequence[str]) -> tuple[str, ...]:
    """Return the steps; a newline that follows a tag belongs to the step that the tag closes."""
    steps = []
    body = pieces[0]
    for number, piece in enumerate(pieces[1:], start=1):
        if not body or body.isspace():
            raise ValueError(f"input: tag {number} closes no step")
        # Few steps are of more than one line, and looking for a newline takes no regex.
        if "\n" in body and (untagged := _UNTAGGED_STEP.search(body)):
            raise ValueError(f"input: the step before 'Step {untagged[1]}:' has no tag")
        following = piece.lstrip("\n")
        if piece and piece == following and number < len(pieces) - 1:
            raise ValueError(f"input: tag {number} stands inside a line")
        steps.append(body.removesuffix(" ") + piece[: len(piece) - len(following)])
        body = following
    if body:
        raise ValueError(f"input: text follows the last tag, {len(steps)}")
    return tuple(steps)


def parse_trl(row: object) -> LabeledSolution:
    """Read a row of TRL's stepwise format; labels are all booleans (or 0 and 1) or all shares.

    A share is a soft label, and the hard label is whether it is above 0.

    Raises:
        ValueError: a field is missing or of another type, a share lies outside 0 to 1, or there
            are not as many labels as completions.
    """
    fields = require_fields(row)
    completions = _texts(fields, "completions")
    labels = _list(fields, "labels")
    if len(labels) != len(completions):
        raise ValueError(f"labels: {len(labels)} for {len(completions)} completions")
    soft: tuple[float | None, ...]
    if all(type(label) in (bool, int) and label in (0, 1) for label in labels):
        hard, soft = tuple(int(label == 1) for label in labels), (None,) * len(labels)
    else:
        soft = tuple(_share(label) for label in labels)
        hard = tuple(int(label > 0) for label in soft if label is not None)
    return LabeledSolution(
        question=require_text(fields, "prompt"),
        steps=_closed(completions),
        hard=hard,
        soft=soft,
        is_correct=hard[-1] == 1,
    )


def render_trl(solution: LabeledSolution) -> dict[str, object]:
    """Write a row of TRL's stepwise format with boolean labels.

    A completion lacks its closing newline: TRL's trainer puts a separator there.
    """
    return {
        "prompt": solution.question,
        "completions": _open(solution.steps),
        "labels": [label == 1 for label in solution.hard],
    }


def render_trl_float(solution: LabeledSolution) -> dict[str, object]:
    """Write a row of TRL's stepwise format with soft labels, or hard ones where there are none."""
    labels = [
        float(hard) if soft is None else soft
        for hard, soft in zip(solution.hard, solution.soft, strict=True)
    ]
    return {**render_trl(solution), "labels": labels}


def parse_processbench(row: object) -> LabeledSolution:
    """Read a row of ProcessBench: right before the first wrong step, wrong from there on.

    Raises:
        ValueError: a field is missing or of another type, or ``label`` names no step.
    """
    fields = require_fields(row)
    steps, first_wrong = _texts(fields, "steps"), fields.get("label")
    if type(first_wrong) is not int or not -1 <= first_wrong < len(steps):
        raise ValueError(f"label: {first_wrong!r} is neither -1 nor one of {len(steps)} steps")
    is_correct = fields.get("final_answer_correct")
    if not isinstance(is_correct, bool):
        raise ValueError("final_answer_correct: is missing, or neither true nor false")
    num_right = len(steps) if first_wrong == -1 else first_wrong
    return LabeledSolution(
        question=require_text(fields, "problem"),
        steps=_closed(steps),
        hard=(1,) * num_right + (0,) * (len(steps) - num_right),
        soft=(None,) * len(steps),
        is_correct=is_correct,
        generator=require_text(fields, "generator"),
    )


def render_processbench(solution: LabeledSolution) -> dict[str, object]:
    """Write ProcessBench's fields; ``label`` is the first step whose hard label is 0, or -1."""
    return {
        "id": content_id(solution.question, solution.generator, *solution.steps),
        "generator": solution.generator,
        "problem": solution.question,
        "steps": _open(solution.steps),
        "final_answer_correct": solution.is_correct,
        "label": solution.hard.index(0) if 0 in solution.hard else -1,
    }


def parse_prm800k(row: object) -> list[LabeledSolution]:
    """Read a published PRM800K row, of either phase, as the paths of its tree that end in a leaf.

    A path follows the chosen (or human) steps; each other rated completion ends a path of its
    own, so that no rating is lost. Ratings -1, 0, 1 are soft labels 0, 0.5, 1, and as in the
    paper a neutral step counts as right. A human's step, which has no rating, is right. A
    solution is correct if its last step states the answer and no step is rated -1.

    There are none where no step is rated, and none where the paper discards the ratings: those
    that put labellers to the test, and those of a labeller who gave up or called the problem bad.

    A row may also hold its steps condensed: ``problem``, and ``steps`` as lists of completions
    that say themselves whether they were ``chosen``, ``human`` or final (with ``answer``).

    Raises:
        ValueError: a field is missing or of another type.
    """
    fields = require_fields(row)
    if "label" in fields:
        label, question = (_nested(fields, name) for name in ("label", "question"))
        is_test = any(fields.get(name) is True for name in _TESTS_OF_LABELLERS)
        if is_test or label.get("finish_reason") in ("give_up", "bad_problem"):
            return []
        problem = require_text(question, "problem")
        turns = [_published_turn(turn) for turn in _list(label, "steps")]
    else:
        problem = require_text(fields, "problem")
        turns = [_condensed_turn(turn) for turn in _list(fields, "steps")]
    return [_rated(problem, path) for path in _paths(turns)]


@dataclass(frozen=True)
class _Completion:
    text: str
    rating: int | None
    is_chosen: bool


def _published_turn(turn: object) -> list[_Completion]:
    fields = require_fields(turn)
    chosen, completions = fields.get("chosen_completion"), []
    if fields.get("completions") is not None:
        for index, completion in enumerate(_list(fields, "completions")):
            rated = require_fields(completion)
            completions.append(
                _Completion(require_text(rated, "text"), _rating(rated), index == chosen)
            )
    if chosen is None and fields.get("human_completion") is not None:
        human = _nested(fields, "human_completion")
        completions.append(_Completion(require_text(human, "text"), 1, True))
    return completions


def _condensed_turn(turn: object) -> list[_Completion]:
    if not isinstance(turn, list):
        raise ValueError(f"steps: one is {type(turn).__name__}, not a list")
    completions = []
    for completion in map(require_fields, turn):
        text = require_text(completion, "text")
        if completion.get("is_final") and completion.get("answer") is not None:
            text += f"\n\n{_ANSWER_HEADING}\n\n{require_text(completion, 'answer')}"
        human = completion.get("human") is True
        rating = 1 if human else _rating(completion)
        completions.append(_Completion(text, rating, completion.get("chosen") is True))
    return completions


def _paths(turns: Sequence[Sequence[_Completion]]) -> list[list[_Completion]]:
    """Return the paths from the first turn to each rated completion that none goes on from."""
    paths: list[list[_Completion]] = []
    trunk: list[_Completion] = []
    is_leaf = False
    for turn in turns:
        chosen = next((one for one in turn if one.is_chosen and one.rating is not None), None)
        others = [one for one in turn if one is not chosen and one.rating is not None]
        paths += [[*trunk, other] for other in others]
        is_leaf = bool(trunk) and chosen is None and not others
        if chosen is None:
            break
        trunk.append(chosen)
        is_leaf = True
    return [*paths, trunk] if is_leaf else paths


def _rated(problem: str, path: Sequence[_Completion]) -> LabeledSolution:
    ratings = [one.rating for one in path if one.rating is not None]
    return LabeledSolution(
        question=problem,
        steps=_closed([one.text for one in path]),
        hard=tuple(int(rating >= 0) for rating in ratings),
        soft=tuple((rating + 1) / 2 for rating in ratings),
        is_correct=_ANSWER_HEADING in path[-1].text and min(ratings) >= 0,
    )


PARSERS: dict[str, Callable[[object], list[LabeledSolution]]] = {
    "math_shepherd": lambda row: [parse_math_shepherd(row)],
    "prm800k": parse_prm800k,
    "trl": lambda row: [parse_trl(row)],
    "processbench": lambda row: [parse_processbench(row)],
}
RENDERERS: dict[str, Callable[[LabeledSolution], dict[str, object]]] = {
    "math_shepherd": render_math_shepherd,
    "trl": render_trl,
    "trl_float": render_trl_float,
    "processbench": render_processbench,
}


def _closed(texts: Sequence[str]) -> tuple[str, ...]:
    return (*(f"{text}\n" for text in texts[:-1]), texts[-1])


def _open(steps: Sequence[str]) -> list[str]:
    return [*(step.removesuffix("\n") for step in steps[:-1]), steps[-1]]


def _nested(fields: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name}: is missing, or no object")
    return value


def _list(fields: Mapping[str, object], name: str) -> list[object]:
    value = fields.get(name)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name}: is missing, empty, or no list")
    return value


def _texts(fields: Mapping[str, object], name: str) -> list[str]:
    values = _list(fields, name)
    return [require_text({name: value}, name) for value in values]


def _share(label: object) -> float:
    if type(label) not in (int, float) or not 0 <= label <= 1:  # type: ignore[operator]
        raise ValueError(f"labels: {label!r} is neither true, false nor a share of 1")
    return float(label)  # type: ignore[arg-type]


def _rating(fields: Mapping[str, object]) -> int | None:
    rating = fields.get("rating")
    if rating is not None and (type(rating) is not int or rating not in (-1, 0, 1)):
        raise ValueError(f"rating: {rating!r} is none of -1, 0, 1")
    return rating
