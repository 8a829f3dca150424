"""Estimate what the policies of a profile draw, score and learn, and how long it takes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from assets.deployment import models_of
from cli.problem_sizes import sum_of, train_sizes
from cli.tables import plain_tables
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.estimates import assumed_speed
from shepherd.policy_time import (
    PADDED_SPEED,
    Lengths,
    PolicyHours,
    PolicyWork,
    reinforcement_hours,
    reinforcement_work,
    rft_hours,
    rft_work,
)
from shepherd.prompts import build_prompt, user_turn
from shepherd.settings import PolicySettings, RftSettings, Settings
from shepherd.text_sizes import TextSizes


@dataclass(frozen=True)
class PolicyEstimate:
    """The work of one policy; hours are null without GPUs, a speed or a known architecture."""

    policy: str
    work: PolicyWork
    hours: PolicyHours | None


def estimate_policies(
    settings: Settings,
    store: ModelStore,
    sizes: Mapping[str, TextSizes],
    tokens_per_second: float | None,
) -> Iterator[PolicyEstimate]:
    """Yield the estimate of each policy whose problems are known.

    Args:
        settings: the profile.
        store: finds the dimensions of models.
        sizes: of the train problems of datasets, at least one. RFT is left out if a dataset that
            it draws from or learns is missing: then the number of its problems is not known.
        tokens_per_second: of all engines together; None: as :func:`assumed_speed` has it for an
            engine on each GPU.
    """
    for name, policy in settings.policies.items():
        start = settings.generators[policy.start]
        template = len(build_prompt(user_turn(start.template), ""))
        lengths = Lengths.of(sum_of(sizes.values()), template, settings.sampling.max_tokens)
        if isinstance(policy, RftSettings):
            if sizes.keys() != settings.datasets.keys():
                continue
            gold = sum(sizes[dataset].problems for dataset in start.datasets or sizes)
            if start.num_problems is not None:
                gold = min(gold, start.num_problems)
            num_problems = sum(one.problems for one in sizes.values())
            work = rft_work(policy, num_problems, gold, lengths)
        else:
            work = reinforcement_work(policy, lengths)
        yield PolicyEstimate(name, work, _hours(policy, work, settings, store, tokens_per_second))


def _hours(
    policy: PolicySettings,
    work: PolicyWork,
    settings: Settings,
    store: ModelStore,
    tokens_per_second: float | None,
) -> PolicyHours | None:
    """Return the hours of a policy; None without GPUs, or if an architecture is not known."""
    base = architecture_of(store.resolve(settings.generators[policy.start].base))
    if settings.gpus is None or base is None:
        return None
    speed = tokens_per_second or assumed_speed([base.num_parameters])
    assert speed is not None, "there is one model"
    if isinstance(policy, RftSettings):
        # Its draws are those of a sampling stage, of one engine.
        return rft_hours(work, policy, base, speed)
    judge = architecture_of(store.resolve(models_of(settings)[policy.reward_model].base))
    if judge is None:
        return None
    engines = 1 if tokens_per_second else policy.num_processes
    return reinforcement_hours(work, policy, base, judge, engines * speed)


def print_policies(settings: Settings, store: ModelStore, tokens_per_second: float | None) -> None:
    """Print the work and the hours of each policy as a table, and what they rest on.

    Raises:
        ValueError: a file that the profile names is missing or wrong.
    """
    sizes = train_sizes(settings)
    unknown = ", ".join(name for name in settings.datasets if name not in sizes)
    if not sizes:
        print(f"\nNot estimated: policies, as the size of {unknown} is not known: name its file.")
        return
    estimates = list(estimate_policies(settings, store, sizes, tokens_per_second))
    if estimates:
        print("\nPolicies, while they learn:")
        with plain_tables():
            print(table_of(estimates))
        print(
            f"\nTokens are millions. Responses are as long as the gold solutions of "
            f"{', '.join(sizes)}; RFT learns all that it draws."
        )
    if any(estimate.hours for estimate in estimates):
        print(
            f"Hours of scoring and learning: {PADDED_SPEED:,} tokens/s in training of 1.1 billion "
            "parameters with padding (one H100, docs/policies.md), less in proportion for more; "
            "not measured with several GPUs."
        )
    if unknown:
        print(f"Not estimated: RFT, as the size of {unknown} is not known: name its file.")
    print("Not estimated: greedy solutions of test problems.")


def table_of(estimates: list[PolicyEstimate]) -> pl.DataFrame:
    """Return estimates as a table for the console."""
    rows: list[dict[str, object]] = []
    for estimate in estimates:
        work, hours = estimate.work, estimate.hours
        rows.append(
            {
                "policy": estimate.policy,
                "responses": work.responses,
                "steps": work.optimizer_steps,
                "drawn": round(work.drawn / 1e6, 2),
                "scored": round(work.scored / 1e6, 2),
                "learned": round(work.learned / 1e6, 2),
                "hours_drawing": hours and round(hours.drawing, 2),
                "hours_scoring": hours and round(hours.scoring, 2),
                "hours_learning": hours and round(hours.learning, 2),
                "hours": hours and round(hours.total, 2),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)
