"""Estimates of a run before it starts: requests and tokens of each sampling stage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from shepherd.annotators.judge import critique_task
from shepherd.prompts import build_prompt, user_turn
from shepherd.settings import JudgeSettings, SamplingSettings
from shepherd.text_sizes import TextSizes

CHARACTERS_PER_TOKEN = 3.5
"""About the length of a token of mathematical English, by the tokenizers of LLaMA models."""

MEASURED_SPEED, MEASURED_PARAMETERS = 15_588, 1.1e9
"""Tokens per second of the engine ``transformers`` on one H100, and the size of its model
(docs/engines.md)."""


@dataclass(frozen=True)
class Estimate:
    """The estimate of one sampling stage of one dataset; tokens are sums over all requests.

    ``basis`` says what the estimate rests on. ``tokens_per_second`` counts completion tokens; it is
    None without a measurement or an assumption.
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
    train: TextSizes,
    test: TextSizes,
    num_train_generators: int,
    num_test_generators: int,
    sampling: SamplingSettings,
    num_rollouts: int,
) -> list[Estimate]:
    """Estimate the solutions, rollouts and candidates of a dataset's problems.

    The estimate is an upper bound of the requests: it assumes that all solutions and prefixes are
    distinct, that each prefix has ``num_rollouts`` rollouts, and that solutions are as long as the
    gold ones. Identical prefixes and annotators that stop early need less.

    Args:
        dataset: name of the dataset.
        train, test: the sizes of its problems' texts.
        num_train_generators, num_test_generators: models that solve the problems of each split.
        sampling: numbers of draws.
        num_rollouts: N of each prefix.
    """
    num_solutions = sampling.samples_per_problem * num_train_generators
    num_candidates = sampling.num_candidates * num_test_generators
    return [
        _sampled("solutions", dataset, train, num_solutions),
        _rolled(dataset, train, num_solutions * num_rollouts),
        _sampled("candidates", dataset, test, num_candidates),
    ]


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


def with_templates(estimate: Estimate, templates: Sequence[str]) -> Estimate:
    """Return an estimate whose prompts hold what templates write around the question.

    The models of the ``templates`` draw equally many completions each. What a tokenizer's chat
    template writes is not known here and counts as nothing.
    """
    if not templates:
        return estimate
    characters = sum(len(build_prompt(user_turn(template), "")) for template in templates)
    around = characters / len(templates) / CHARACTERS_PER_TOKEN * estimate.requests
    return replace(estimate, prompt_tokens=estimate.prompt_tokens + around)


def _sampled(stage: str, dataset: str, sizes: TextSizes, num_draws: int) -> Estimate:
    return Estimate(
        dataset,
        stage,
        sizes.problems * num_draws,
        sizes.questions * num_draws / CHARACTERS_PER_TOKEN,
        sizes.solutions * num_draws / CHARACTERS_PER_TOKEN,
        sizes.basis,
    )


def _rolled(dataset: str, sizes: TextSizes, times: int) -> Estimate:
    return Estimate(
        dataset,
        "rollouts",
        sizes.prefixes * times,
        sizes.before * times / CHARACTERS_PER_TOKEN,
        sizes.after * times / CHARACTERS_PER_TOKEN,
        sizes.basis,
    )


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


def assumed_speed(num_parameters: Sequence[float]) -> float | None:
    """Return tokens per second of a GPU on which some models draw equally many tokens in turn.

    The assumption: time is in proportion to the parameters, from the one speed that was measured.
    None if there are no models.
    """
    if not num_parameters:
        return None
    seconds_per_token = [size / MEASURED_PARAMETERS / MEASURED_SPEED for size in num_parameters]
    return len(seconds_per_token) / sum(seconds_per_token)
