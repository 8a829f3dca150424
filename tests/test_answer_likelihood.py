"""The likelihood of answers is read as it is, and what it adds is measured as it is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks import answer_likelihood, human_truth
from benchmarks.answer_information import Outcomes, bits, cross_fitted, resamples
from benchmarks.answer_reading import AnswerReader, Candidates, candidates_of
from benchmarks.answer_savings import Informed
from benchmarks.human_rows import written_rows
from resources.checkpoints.loading import load_tokenizer, load_weights
from resources.storage.model_store import BASE_MODELS
from shepherd.annotators.adaptive import Adaptive
from shepherd.annotators.problem import SolutionSteps, SolvedProblem
from shepherd.annotators.rates import Rates

MODEL = BASE_MODELS / "base-small"
RATES = Rates((0.9,), 0.02, 0.02)


def problem_of(*solutions: tuple[str, ...]) -> SolvedProblem:
    steps = [
        SolutionSteps(f"s{k}", True, tuple(f"s{k}.{i}" for i in range(len(texts))), texts)
        for k, texts in enumerate(solutions)
    ]
    return SolvedProblem("p", "Ann has 3 pens. She buys 4. How many?", tuple(steps))


def whole(text: str, answer: str) -> float:
    """Return the log-probability of an answer and the end behind a text, in one pass."""
    tokenizer = load_tokenizer(MODEL)
    model = load_weights(AutoModelForCausalLM, MODEL, dtype=torch.float32).eval()
    before, ids = tokenizer(text)["input_ids"], tokenizer(f"{text} {answer}")["input_ids"]
    with torch.inference_mode():
        logs = model(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
    following = [*ids[len(before) :], tokenizer.eos_token_id]
    return float(sum(logs[len(before) - 1 + i, token] for i, token in enumerate(following)))


def test_answers_are_read_behind_each_prefix_as_in_one_pass() -> None:
    first, other = "Step 1: 3 + 4 = 7.\n", "Step 1: Ann has 3 - 4 = 1 pens."
    problem = problem_of((first, "Step 2: 7 + 1 = 8.\n", "The answer is: 8"), (first, "x"))
    problem = SolvedProblem(
        "p", problem.question, (*problem.solutions, problem_of((other, "y")).solutions[0])
    )
    mark = "The answer is:"
    reading = AnswerReader(MODEL, "plain", mark).read(problem, Candidates(("7", "7 pens"), ("8",)))
    opened = f"{problem.question}\n"
    assert set(reading.logs) == {"", *problem.prefixes}
    for prefix, logs in reading.logs.items():
        line_end = "\n" if prefix == other else ""
        text = f"{opened}{prefix}{line_end}{mark}"
        gold = np.logaddexp(whole(text, "7"), whole(text, "7 pens"))
        assert logs.gold == pytest.approx(gold, abs=1e-3)
        assert logs.others == pytest.approx(whole(text, "8"), abs=1e-3)


def test_without_another_answer_there_is_nothing_to_compare_with() -> None:
    reading = AnswerReader(MODEL, "plain", "The answer is:").read(
        problem_of(("a\n", "b")), Candidates(("7",), ())
    )
    assert [logs.others for logs in reading.logs.values()] == [None, None]


def test_a_step_counts_once_for_all_solutions_through_it() -> None:
    reader, answers = AnswerReader(MODEL, "plain", "The answer is:"), Candidates(("7",), ("8",))
    first, second = "Step 1: 3 + 4 = 7.\n", "Step 2: 7 + 1 = 8.\n"
    one = reader.read(problem_of((first, second, "x")), answers)
    same = reader.read(problem_of((first, second, "x"), (first, second, "y")), answers)
    longer = reader.read(problem_of((first, "x"), (first, second, "y")), answers)
    assert one.step_tokens == same.step_tokens == longer.step_tokens
    # Three prefixes, each with a mark of four tokens and two answers of one token.
    assert one.answer_tokens == same.answer_tokens == longer.answer_tokens == 3 * (4 + 2)


def test_spellings_that_grading_calls_equal_are_one_answer() -> None:
    work = written_rows(6)
    candidates = candidates_of(work)
    golds = dict(work.problems.select("problem_id", "gold_answer").iter_rows())
    assert candidates.keys() == golds.keys()
    for problem_id, (gold, others) in candidates.items():
        assert gold[0] == golds[problem_id]
        assert not set(gold) & set(others)
    assert any(others for _, others in candidates.values())


def drawn_outcomes(rates: np.ndarray, rng: np.random.Generator) -> Outcomes:
    successes = rng.binomial(8, rates).astype(np.float64)
    return Outcomes(successes, 8 - successes, np.arange(len(rates)) // 5, is_beta=True)


def test_a_covariate_adds_bits_only_if_it_informs() -> None:
    rng = np.random.default_rng(0)
    place, secret, noise = rng.normal(size=(3, 500, 1))
    outcomes = drawn_outcomes(1 / (1 + np.exp(-(place + 2 * secret)[:, 0])), rng)
    weights = resamples(100)
    without = cross_fitted(place, outcomes)
    lows = {}
    for name, column in {"secret": secret, "noise": noise}.items():
        added = cross_fitted(np.column_stack([place, column]), outcomes)
        results = {one.name: one.value for one in bits("x", without, added, outcomes, weights)}
        lows[name] = results["x: gain, low"]
        assert results["x: gain, low"] <= results["x: gain"] <= results["x: gain, high"]
        assert (added.concentration > 2 * without.concentration) == (name == "secret")
    assert lows["secret"] > 0.5 > 0 > lows["noise"]


def test_predictions_of_a_problem_come_from_other_problems() -> None:
    rng = np.random.default_rng(1)
    # Each problem has a column of its own: it can be learned by heart, and not foretold.
    problems = np.repeat(np.arange(40), 5)
    rates = rng.uniform(0.05, 0.95, 40)[problems]
    outcomes = drawn_outcomes(rates, rng)
    by_heart = cross_fitted(np.eye(40)[problems], outcomes)
    nothing = cross_fitted(np.zeros((200, 1)), outcomes)
    assert by_heart.losses.mean() >= nothing.losses.mean() - 0.01


def test_a_reading_shifts_the_belief_and_nothing_else() -> None:
    problem = SolvedProblem(
        "p", "?", (SolutionSteps("s", False, ("1", "2", "3"), ("a", "b", "c")),)
    )
    today, same = Adaptive(8, 0.97, RATES), Informed(8, 0.97, RATES)
    assert same.label(problem, {}) == today.label(problem, {})
    first, second, _ = soft_of(today, problem)
    assert soft_of(Informed(8, 0.97, RATES, {"a": 2.0}), problem)[0] > first
    assert soft_of(Informed(8, 0.97, RATES, {"ab": -2.0}), problem)[1] < second


def soft_of(annotator: Adaptive, problem: SolvedProblem) -> list[float]:
    [labels] = annotator.label(problem, {})
    return [label.soft or 0.0 for label in labels]


@pytest.mark.slow
def test_the_draws_that_human_truth_keeps_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {
            "generator": "a model",
            "problem": f"Ann has {n} pens. She buys 4. She loses 1. How many?",
            "steps": [f"Ann has {n} + 4 = {n + 4}.", f"{n + 4} - 1 = {n + 3}.", f"It is {n + k}."],
            "final_answer_correct": k == 3,
            "label": -1 if k == 3 else 2,
            "gold_answer": str(n + 3),
        }
        for n in range(1, 13)
        for k in (3, 2)
    ]
    (tmp_path / "gsm8k.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = tmp_path / "truth.yaml"
    settings.write_text(
        "completer: {base: base-small}\n"
        "engine: {dtype: float32}\n"
        "sampling: {max_tokens: 8}\n"
        "annotation: {annotators: [{kind: monte_carlo, num_rollouts: 2}]}\n"
    )
    options = ["--settings", str(settings), "--data", str(tmp_path), "--keep", str(tmp_path / "k")]
    assert answer_likelihood.BENCHMARK.main(options) == 2
    assert "draw first" in capsys.readouterr().err
    human_truth.BENCHMARK.main(options)
    capsys.readouterr()
    assert answer_likelihood.BENCHMARK.main([*options, "--prompts", "2", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    values = {one["name"]: one["value"] for one in results}
    assert values["gsm8k: prefixes"] == 2 * values["gsm8k: problems"]
    # The mark, the gold answer and the other sampled one.
    assert values["gsm8k: read: marks and answers"] > 3
    assert 0 <= values["gsm8k: adaptive, today: accuracy"] <= 1
