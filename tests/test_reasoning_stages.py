"""Sampling stages of reasoning models, with a fake engine that thinks before it answers."""

from pathlib import Path

import polars as pl
import pytest

from resources.engines.thought_tokens import count_thought_tokens, estimated_thought_tokens
from resources.sampling.earlier import origin_of
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.solutions import draw_candidates, draw_greedily, draw_solutions
from resources.sampling.stage import CompletionModel, Shard, Stage
from resources.storage.lake import Lake
from shepherd.annotators.annotator import LabelInputs
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.monte_carlo import MonteCarlo, MonteCarloSettings
from shepherd.annotators.problem import Annotator
from shepherd.requests import Completion, Request, completion_block, request_rows
from shepherd.rollouts import split_solutions
from shepherd.schemas import ROLLOUT_COSTS, ROLLOUTS, SOLUTION_COSTS, SOLUTIONS, enforce
from shepherd.settings import SamplingSettings, SplittingSettings
from shepherd.thoughts import opening_of

PROBLEMS = pl.DataFrame(
    {"problem_id": ["p", "q"], "question": ["How many?", "How much?"], "gold_answer": ["4", "4"]}
)
SAMPLING = SamplingSettings(samples_per_problem=4, num_candidates=2, max_tokens=50)
REASONING = SplittingSettings(method="reasoning", max_sections=4)
OPENED, UNOPENED = "<user>{question}<model><think>\n", "<user>{question}<model>"
THOUGHT = "First 3.\n\nWait, no.\n\nThen 3 + 1.\n"
CLOSED = f"{THOUGHT}</think>\n\nStep 1: 3 + 1 = 4.\nStep 2: So 4.\nThe answer is: 4"
OPEN = f"{THOUGHT}The answer is: 4"
"""A thought that the model ended without closing it."""


class ThinkingEngine:
    """Writes a thought and a summary; of requests with an odd seed, the thought alone.

    It writes one token a character.
    """

    def __init__(self) -> None:
        self.capacity = 4
        self.asked: list[Request] = []
        self._queue: list[Request] = []

    def add(self, requests: pl.DataFrame) -> None:
        fresh = list(request_rows(requests))
        self.asked += fresh
        self._queue += fresh

    def poll(self) -> pl.DataFrame:
        finished, self._queue = self._queue[:3], self._queue[3:]
        return completion_block(map(self._complete, finished))

    def close(self) -> None:
        self._queue.clear()

    def _complete(self, request: Request) -> Completion:
        whole = f"<think>\n{OPEN if request.seed % 2 else CLOSED}"
        begun = request.prompt.partition("<model>")[2]
        text = whole[len(begun) :] if whole.startswith(begun) else ""
        count = count_thought_tokens(request, text, len(text), lambda n: n)
        return Completion(request.id, text, "stop", 3, 0, len(text), 0.1, None, count)


def shard(folder: Path, splitting: SplittingSettings = REASONING) -> Shard:
    return Shard("words", "00", folder, 7, splitting)


def model(engine: ThinkingEngine, template: str) -> CompletionModel:
    return CompletionModel("thinker", template, {"weights": "w"}, lambda: engine)


@pytest.mark.parametrize("template", [OPENED, UNOPENED])
def test_solutions_hold_whole_thoughts_whoever_opens_them(template: str, tmp_path: Path) -> None:
    engine = ThinkingEngine()
    output = draw_solutions(PROBLEMS, model(engine, template), SAMPLING, shard(tmp_path))
    rows = enforce(SOLUTIONS, output.frame)
    assert set(rows["text"]) == {f"<think>\n{CLOSED}", f"<think>\n{OPEN}"}
    is_closed = rows["text"].str.contains("</think>")
    assert rows["is_correct"].to_list() == is_closed.to_list()
    assert rows.filter(~is_closed)["answer"].null_count() == rows.filter(~is_closed).height
    cost = enforce(SOLUTION_COSTS, output.cost).row(0, named=True)
    thoughts = rows["text"].str.replace(r"(?s)</think>.*", "</think>").str.len_chars()
    # The tag of a template is not drawn.
    lengths = thoughts - len(opening_of(template))
    assert cost["thought_tokens"] == (lengths * rows["num_samples"]).sum()
    assert cost["completion_tokens"] > cost["thought_tokens"]


def test_candidates_and_greedy_solutions_hold_whole_thoughts_too(tmp_path: Path) -> None:
    thinker = model(ThinkingEngine(), OPENED)
    for draw in (draw_candidates, draw_greedily):
        texts = draw(PROBLEMS, thinker, SAMPLING, shard(tmp_path)).frame["text"]
        assert all(text.startswith("<think>\nFirst") for text in texts)
    greedy = draw_greedily(PROBLEMS, thinker, SAMPLING, shard(tmp_path / "again")).frame
    assert set(greedy["num_steps"]) <= {2, 4}


def test_other_methods_leave_texts_as_they_are_drawn(tmp_path: Path) -> None:
    plain = shard(tmp_path, SplittingSettings())
    rows = draw_solutions(PROBLEMS, model(ThinkingEngine(), OPENED), SAMPLING, plain).frame
    assert set(rows["text"]) == {CLOSED, OPEN}


@pytest.mark.parametrize("template", [OPENED, UNOPENED])
@pytest.mark.parametrize("annotator", [MonteCarlo(3), FirstSuccess(3)])
def test_rollouts_continue_the_thought_and_are_graded_by_its_end(
    template: str, annotator: Annotator, tmp_path: Path
) -> None:
    solutions = draw_solutions(
        PROBLEMS, model(ThinkingEngine(), template), SAMPLING, shard(tmp_path)
    ).frame
    steps = split_solutions(solutions, REASONING.rule)
    engine = ThinkingEngine()
    stage = rollout_stage(model(engine, template), SAMPLING, shard(tmp_path))
    written = WrittenSolutions(PROBLEMS, solutions, steps)
    output = draw_rollouts(stage, written, [annotator])
    rows = enforce(ROLLOUTS, output.frame)
    # Prefixes end in the thought or behind it, and open it once.
    assert {request.prompt.count("<think>") for request in engine.asked} == {1}
    assert all(request.prompt.endswith(request.prefix) for request in engine.asked)
    assert rows["text"].str.starts_with("<think>").sum() == 0
    inside = rows.filter(pl.col("text").str.contains("Then"))
    assert inside["is_correct"].to_list() == inside["text"].str.contains("</think>").to_list()
    assert 0 < inside["is_correct"].sum() < inside.height
    behind = rows.filter(~pl.col("text").str.contains("Then"))
    assert behind["is_correct"].to_list() == behind["text"].str.contains("answer is: 4").to_list()
    assert enforce(ROLLOUT_COSTS, output.cost)["thought_tokens"].item() > 0


def test_labels_of_sections_are_counted_from_their_rollouts(tmp_path: Path) -> None:
    thinker = model(ThinkingEngine(), OPENED)
    solutions = draw_solutions(PROBLEMS, thinker, SAMPLING, shard(tmp_path)).frame
    steps = split_solutions(solutions, REASONING.rule)
    closed = solutions.filter(pl.col("text").str.contains("</think>"))["solution_id"]
    texts = steps.filter(solution_id=closed[0])["text"].to_list()
    assert texts == [
        "<think>\nFirst 3.\n\nWait, no.\n\n",
        "Then 3 + 1.\n</think>\n\n",
        "Step 1: 3 + 1 = 4.\n",
        "Step 2: So 4.\nThe answer is: 4",
    ]
    stage = rollout_stage(thinker, SAMPLING, shard(tmp_path))
    rollouts = draw_rollouts(
        stage, WrittenSolutions(PROBLEMS, solutions, steps), [MonteCarlo(2)]
    ).frame
    inputs = LabelInputs(steps, solutions, PROBLEMS, rollouts, method=REASONING.rule)
    labels = MonteCarloSettings(num_rollouts=2).label_steps(inputs)
    assert labels.height == steps.height


def test_rollouts_of_earlier_versions_have_no_tokens_of_thoughts(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    cost = draw_solutions(PROBLEMS, model(ThinkingEngine(), OPENED), SAMPLING, shard(tmp_path)).cost
    path = lake.write(SOLUTION_COSTS, cost, "words", "00")
    cost.drop("thought_tokens").write_parquet(path)
    read = lake.read(SOLUTION_COSTS, "words", "00")
    assert read["thought_tokens"].to_list() == [None]
    assert read.drop("thought_tokens").equals(cost.drop("thought_tokens"))


@pytest.mark.parametrize(
    ("prompt", "prefix", "text", "exact"),
    [
        ("q", "", "no thought", 0),
        ("q", "", "<think>abc</think>de", 18),
        ("q", "", "<think>never closed", 19),
        ("q<think>\n", "", "abc</think>de", 11),
        ("q<think>\n", "", "abc", 3),
        ("q", "<think>a", "bc</think>de", 10),
        ("q", "<think>a</think>", "bcde", 0),
        ("a judged <think> text", "", "bcde", 0),
        ("q", "", "", 0),
    ],
)
def test_tokens_of_a_thought_end_with_its_tag(
    prompt: str, prefix: str, text: str, exact: int
) -> None:
    request = Request("r", prompt + prefix, 0, 0.0, 9, prefix_length=len(prefix))
    assert count_thought_tokens(request, text, len(text), lambda n: n) == exact
    assert estimated_thought_tokens(request, text, len(text)) == exact
    # Two characters a token: a token that reaches over the end belongs to the thought.
    halved = count_thought_tokens(
        request, text, -(-len(text) // 2), lambda n: min(2 * n, len(text))
    )
    assert halved == -(-exact // 2)


def test_solutions_of_the_lake_open_their_thought_once(tmp_path: Path) -> None:
    thinker, lake = model(ThinkingEngine(), OPENED), Lake(tmp_path)
    texts = {}
    for splitting in (SplittingSettings(), REASONING, REASONING, SplittingSettings()):
        drawn = draw_solutions(PROBLEMS, thinker, SAMPLING, shard(tmp_path, splitting), lake)
        stage = Stage(SOLUTIONS, thinker, shard(tmp_path, splitting), 0.7, 50)
        origin = origin_of({"thinker": stage.fingerprint}, "keep")
        lake.write(SOLUTIONS, drawn.frame, "words", "00", metadata=origin)
        lake.write(SOLUTION_COSTS, drawn.cost, "words", "00")
        stage.journal.unlink()
        texts.setdefault(splitting.method, []).append(set(drawn.frame["text"]))
    assert texts["reasoning"] == [{f"<think>\n{CLOSED}", f"<think>\n{OPEN}"}] * 2
    assert texts["auto"] == [{CLOSED, OPEN}] * 2
