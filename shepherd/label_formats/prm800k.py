"""PRM800K (arXiv 2305.20050): a tree of rated steps, as published in two phases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shepherd.datasets import require_fields, require_text
from shepherd.label_formats.rows import closed, list_field, nested_field
from shepherd.label_formats.solutions import LabeledSolution

_ANSWER_HEADING = "# Answer"
_TESTS_OF_LABELLERS = ("is_quality_control_question", "is_initial_screening_question")


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
        label, question = (nested_field(fields, name) for name in ("label", "question"))
        is_test = any(fields.get(name) is True for name in _TESTS_OF_LABELLERS)
        if is_test or label.get("finish_reason") in ("give_up", "bad_problem"):
            return []
        problem = require_text(question, "problem")
        turns = [_published_turn(turn) for turn in list_field(label, "steps")]
    else:
        problem = require_text(fields, "problem")
        turns = [_condensed_turn(turn) for turn in list_field(fields, "steps")]
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
        for index, completion in enumerate(list_field(fields, "completions")):
            rated = require_fields(completion)
            completions.append(
                _Completion(require_text(rated, "text"), _rating(rated), index == chosen)
            )
    if chosen is None and fields.get("human_completion") is not None:
        human = nested_field(fields, "human_completion")
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
        steps=closed([one.text for one in path]),
        hard=tuple(int(rating >= 0) for rating in ratings),
        soft=tuple((rating + 1) / 2 for rating in ratings),
        is_correct=_ANSWER_HEADING in path[-1].text and min(ratings) >= 0,
    )


def _rating(fields: Mapping[str, object]) -> int | None:
    rating = fields.get("rating")
    if rating is not None and (type(rating) is not int or rating not in (-1, 0, 1)):
        raise ValueError(f"rating: {rating!r} is none of -1, 0, 1")
    return rating
