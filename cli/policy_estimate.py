"""Estimate what the policies of a profile draw while they learn."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from cli.tables import plain_tables
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.estimates import assumed_speed
from shepherd.settings import RftSettings, Settings


@dataclass(frozen=True)
class PolicyDraws:
    """What one policy draws in PPO or GRPO, over all iterations."""

    policy: str
    responses: int
    """Sampled ones that are learned from, and greedy ones to held-out problems."""
    optimizer_steps: int
    million_tokens_at_most: float
    """If every response reaches ``sampling.max_tokens``."""
    hours_at_most: float | None
    """Of drawing, at the assumed speed of an engine on each GPU; null without a speed."""


def policy_draws(
    settings: Settings, store: ModelStore, tokens_per_second: float | None
) -> Iterator[PolicyDraws]:
    """Yield the draws of each policy that learns by PPO or GRPO.

    ``tokens_per_second`` is the speed of one engine; None: as :func:`assumed_speed` has it, if the
    profile names its GPUs and the architecture is known.
    """
    for name, policy in settings.policies.items():
        if isinstance(policy, RftSettings):
            continue
        sampled = policy.iterations * policy.problems_per_iteration * policy.samples_per_problem
        # One more iteration measures the finished policy.
        sampled_in_all = sampled // policy.iterations * (policy.iterations + 1)
        responses = sampled_in_all + (policy.iterations + 1) * policy.num_validation
        tokens = responses * settings.sampling.max_tokens
        speed = tokens_per_second
        base = architecture_of(store.resolve(settings.generators[policy.start].base))
        if speed is None and settings.gpus and base:
            speed = assumed_speed([base.num_parameters])
        in_an_iteration = policy.problems_per_iteration * policy.samples_per_problem
        steps = policy.epochs * -(-in_an_iteration // policy.batch_size)
        yield PolicyDraws(
            name,
            responses,
            policy.iterations * steps,
            tokens / 1e6,
            tokens / speed / policy.num_processes / 3600 if speed else None,
        )


def print_policy_draws(
    settings: Settings, store: ModelStore, tokens_per_second: float | None
) -> None:
    """Print the draws of the policies as a table, if there are any."""
    draws = list(policy_draws(settings, store, tokens_per_second))
    if not draws:
        return
    table = pl.DataFrame([vars(one) for one in draws]).with_columns(
        pl.col("million_tokens_at_most").round(2),
        pl.col("hours_at_most").cast(pl.Float64).round(2),
    )
    print("\nDraws of policies while they learn:")
    with plain_tables():
        print(table)
