"""Cases rebuilt from public bug reports of this field, and further members of their families."""

import json
from pathlib import Path
from typing import Any

import pytest

from resources.grading import grade_pairs
from shepherd.answers import extract_answer
from shepherd.splitting import split_steps

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


REPORTS = rows("public_reports.jsonl")


def reports(area: str) -> list[Any]:
    return [pytest.param(row, id=row["id"]) for row in REPORTS if row["area"] == area]


@pytest.mark.parametrize("report", reports("grading"))
def test_grading(report: dict[str, Any]) -> None:
    verdicts = grade_pairs([(pair["gold"], pair["answer"]) for pair in report["input"]])
    expected = report["expected"]["correct"]
    assert [verdict.correct for verdict in verdicts] == expected


@pytest.mark.parametrize("report", reports("extraction"))
def test_extraction(report: dict[str, Any]) -> None:
    pairs = [(row["gold"], extract_answer(row["solution"])) for row in report["input"]]
    correct = [verdict.correct for verdict in grade_pairs(pairs)]
    assert correct == report["expected"]["correct"]


@pytest.mark.parametrize("report", reports("splitting"))
def test_splitting(report: dict[str, Any]) -> None:
    steps = [split_steps(row["solution"], row["method"]) for row in report["input"]]
    assert ["".join(each) for each in steps] == [row["solution"] for row in report["input"]]
    assert [len(each) for each in steps] == report["expected"]["number_of_steps"]


def test_further_members_of_each_family_are_graded_right_both_ways() -> None:
    pairs = rows("answer_pairs.jsonl")
    # A gold 5m is a product, and a gold equation is the answer itself.
    one_way = {("5", "5m"), ("204", "m+n=204"), ("7", "x+y=7"), ("4", "x^2+y^2=4")}
    verdicts = grade_pairs([(pair["gold"], pair["answer"]) for pair in pairs])
    turned = grade_pairs([(pair["answer"], pair["gold"]) for pair in pairs])
    wrong = [
        pair
        for pair, verdict, other in zip(pairs, verdicts, turned, strict=True)
        if verdict.correct != pair["correct"]
        or (
            other.correct != pair["correct"]
            and (pair["gold"], pair["answer"]) not in one_way
            and (pair["answer"], pair["gold"]) not in one_way
        )
    ]
    assert not wrong


@pytest.mark.parametrize("row", rows("extractions.jsonl"), ids=lambda row: row["text"][:40])
def test_further_extractions(row: dict[str, Any]) -> None:
    assert extract_answer(row["text"]) == row["answer"]
