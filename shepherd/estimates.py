"""Estimates of a run before it starts: requests and tokens of each sampling stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from shepherd.annotators.judge import critique_task
from shepherd.settings import JudgeSettings, SamplingSettings
from shepherd.splitting import Method, split_steps

CHARACTERS_PER_TOKEN = 3.5
"""About the length of a token of mathematical English, by the tokenizers of LLaMA models."""

TYPICAL_STEPS = (80,) * 4
"""Characters of each step of a solution, for problems without a gold solution. It is about GSM8K's,
whose train solutions have 3.5 lines of 79 characters and an answer."""


@dataclass(frozen=True)
class Estimate:
    """The estimate of one sampling stage of one dataset; tokens are sums over all requests.

    ``basis`` says what the estimate rests on. ``tokens_per_second`` counts completion tokens; it is
    None without a measurement.
    """

    dataset: str
    stage: str
    requests: float
    prompt_tokens: float
    completion_tokens: float
    basis: str
    tokens_per_second: float | None = None


def estimate_dataset(
    dataset: str,
    problems: pl.DataFrame,
    num_train_generators: int,
    num_test_generators: int,
    sampling: SamplingSettings,
    num_rollouts: int,
    method: Method = "auto",
) -> list[Estimate]:
    """Estimate the solutions, rollouts and candidates of a dataset's problems.

    The estimate is an upper bound of the requests: it assumes that all solutions and prefixes are
    distinct, that each prefix has ``num_rollouts`` rollouts, and that solutions are as long as the
    gold ones (:data:`TYPICAL_STEPS` for a problem without one). Identical prefixes and annotators
    that stop early need less.
    """
    train, test = (problems.filter(split=split) for split in ("train", "test"))
    num_solutions = sampling.samples_per_problem * num_train_generators
    num_candidates = sampling.num_candidates * num_test_generators
    solutions = _sampled("solutions", dataset, train, num_solutions)
    rollouts = _rolled(dataset, train, num_solutions * num_rollouts, method)
    candidates = _sampled("candidates", dataset, test, num_candidates)
    return [solutions, rollouts, candidates]


def estimate_critiques(dataset: str, solutions: Estimate, judge: JudgeSettings) -> Estimate:
    """Estimate the critiques of a judge, given the estimate of the solutions.

    A prompt holds question, solution and task. A critique is assumed to be as long as its solution.
    """
    task = len(critique_task("", [""])) / CHARACTERS_PER_TOKEN * solutions.requests
    read = solutions.prompt_tokens + solutions.completion_tokens + task
    return Estimate(
        dataset,
        "critiques",
        solutions.requests * judge.num_votes,
        read * judge.num_votes,
        solutions.completion_tokens * judge.num_votes,
        solutions.basis,
    )


def _sampled(stage: str, dataset: str, problems: pl.DataFrame, num_draws: int) -> Estimate:
    prompt = completion = 0.0
    for question, steps in _lengths(problems):
        prompt += question
        completion += sum(steps)
    return Estimate(
        dataset,
        stage,
        problems.height * num_draws,
        prompt * num_draws / CHARACTERS_PER_TOKEN,
        completion * num_draws / CHARACTERS_PER_TOKEN,
        _basis(problems),
    )


def _rolled(
    dataset: str,
    problems: pl.DataFrame,
    times: int,
    method: Method,
) -> Estimate:
    requests = prompt = completion = 0.0
    for question, steps in _lengths(problems, method):
        for index in range(1, len(steps)):
            requests += 1
            prompt += question + sum(steps[:index])
            completion += sum(steps[index:])
    return Estimate(
        dataset,
        "rollouts",
        requests * times,
        prompt * times / CHARACTERS_PER_TOKEN,
        completion * times / CHARACTERS_PER_TOKEN,
        _basis(problems),
    )


def _lengths(
    problems: pl.DataFrame, method: Method = "auto"
) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the number of characters of each question, and of each step of its solution."""
    for question, solution in problems.select("question", "gold_solution").iter_rows():
        yield (
            len(question),
            TYPICAL_STEPS if solution is None else [len(s) for s in split_steps(solution, method)],
        )


def _basis(problems: pl.DataFrame) -> str:
    without = problems["gold_solution"].null_count()
    if not without:
        return "from gold solutions, N everywhere"
    where = "" if without == problems.height else f" for {without} of {problems.height}"
    typical = f"typical solutions ({len(TYPICAL_STEPS)} x {TYPICAL_STEPS[0]} characters)"
    return f"from {typical}{where}, N everywhere"


def extrapolate(dataset: str, stage: str, costs: pl.DataFrame, num_shards: int) -> Estimate | None:
    """Return the estimate of a stage from the costs of its finished shards; None without any."""
    done = costs.filter(dataset=dataset)
    if done.is_empty():
        return None
    num_done = done["shard"].n_unique()
    requests, prompt, completion, seconds = (
        float(done[name].sum())
        for name in ("num_requests", "prompt_tokens", "completion_tokens", "seconds")
    )
    times = num_shards / num_done
    return Estimate(
        dataset,
        stage,
        requests * times,
        prompt * times,
        completion * times,
        f"measured on {num_done} of {num_shards} shards",
        completion / seconds if seconds else None,
    )
