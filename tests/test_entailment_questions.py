"""A language model in the place of an entailment model."""

from pathlib import Path

import polars as pl
import pytest
from fake_engine import FakeEngine

from resources.sampling.entailments import EntailmentQuestions, entailment_stage
from resources.sampling.stage import CompletionModel, Shard
from shepherd.annotators.entailment import (
    EntailmentSettings,
    Pair,
    entailment_task,
    read_answer,
    share_of_yes,
)
from shepherd.requests import completion_block, completion_rows, request_rows

PAIRS = [("1 + 1 = 2.", "He has 2."), ("He has 2.", "1 + 1 = 2."), ("He has 2.", "He has 5.")]


class Answering(FakeEngine):
    """Says no where a step names a 5, else yes."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, str] = {}

    def add(self, requests: pl.DataFrame) -> None:
        for request in request_rows(requests):
            self.answers[request.id] = "No." if "5" in request.prompt else "**Yes**, it does."
        super().add(requests)

    def poll(self) -> pl.DataFrame:
        drawn = completion_rows(super().poll())
        return completion_block(one._replace(text=self.answers[one.request_id]) for one in drawn)


def questions(folder: Path, engines: list[FakeEngine], **fields: object) -> EntailmentQuestions:
    def open_engine() -> FakeEngine:
        engines.append(Answering())
        return engines[-1]

    settings = EntailmentSettings.model_validate({"base": "unused", **fields})
    model = CompletionModel("nli", "{question}\n", {"weights": "w"}, open_engine)
    stage = entailment_stage(model, settings, Shard("gsm8k", "00", folder, 0))
    return EntailmentQuestions(stage, settings.num_votes)


def test_the_share_of_yes_is_the_probability_in_the_order_of_the_pairs(tmp_path: Path) -> None:
    asked = questions(tmp_path, [], num_votes=3, temperature=0.7)
    assert asked(PAIRS) == [1.0, 1.0, 0.0]
    assert asked.cost.num_requests == 9
    assert asked.cost.completion_tokens == 9 * 7


def test_an_answered_question_is_not_asked_again(tmp_path: Path) -> None:
    engines: list[FakeEngine] = []
    questions(tmp_path, engines)(PAIRS[:2])
    again = questions(tmp_path, engines)
    assert again(PAIRS) == [1.0, 1.0, 0.0]
    assert [len(engine.added) for engine in engines] == [2, 1]
    assert again.cost.num_requests == 3


def test_no_pairs_need_no_model(tmp_path: Path) -> None:
    engines: list[FakeEngine] = []
    assert questions(tmp_path, engines)([]) == []
    assert engines == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("yes", True),
        ("Yes, it does. No other way.", True),
        ("**No**", False),
        ("The answer is no.", False),
        ("<think>yes?</think>\nno", False),
        ("Nothing follows", None),
        ("noyes", None),
        ("", None),
    ],
)
def test_the_first_of_the_two_words_counts(text: str, answer: bool | None) -> None:
    assert read_answer(text) is answer


def test_answers_that_cannot_be_read_do_not_vote() -> None:
    assert share_of_yes(["yes", "perhaps", "no", "yes"]) == pytest.approx(2 / 3)
    assert share_of_yes(["perhaps"]) == 0.0


def test_the_task_asks_in_one_direction() -> None:
    pair: Pair = PAIRS[0]
    premise, hypothesis = (entailment_task(*pair).index(text) for text in pair)
    assert premise < hypothesis
