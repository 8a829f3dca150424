"""How a model of the profile comes about: from its base, by one trainer, into the model store."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.deployment import Deployment
from assets.describe import OWNERS

if TYPE_CHECKING:
    from training.loop import TrainingReport

GPU_POOL = "gpu"
"""Assets that hold a model take turns: dagster.yaml says how many fit at a time."""


def model_asset(
    name: str, *, group: str, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate a function that trains a model of the profile."""
    decorate: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        key=name,
        group_name=group,
        kinds={"torch"},
        owners=OWNERS,
        tags={"stage": group},
        pool=GPU_POOL,
        **options,
    )
    return decorate


def fine_tune(
    deployment: Deployment,
    name: str,
    trainer: "Callable[..., TrainingReport]",
    examples: pl.DataFrame,
) -> dg.MaterializeResult[Any]:
    """Train a model on the examples and keep it; a model without ``training`` is its base.

    Raises:
        ValueError: the base does not exist, or there is nothing to train on.
    """
    settings = deployment.model(name)
    base, training = deployment.models.resolve(settings.base), settings.training
    if training is None:
        return dg.MaterializeResult(metadata={"base": str(base)})
    if examples.is_empty():
        raise ValueError(
            f"{name}: no examples to train on: no train problem has what it learns from "
            "(a gold solution, or labels by annotation.train_on)"
        )
    report = deployment.models.save(
        name,
        lambda out: trainer(
            base,
            examples,
            out,
            training,
            template=settings.template,
            seed=deployment.settings.seed,
        ),
    )
    tail = report.losses[-max(1, len(report.losses) // 10) :]
    return dg.MaterializeResult(
        metadata={
            "base": settings.base,
            "path": dg.MetadataValue.path(deployment.models.path(name)),
            "examples": report.num_examples,
            "examples_cut": report.num_cut,
            "batches": report.num_steps,
            "seconds": round(report.seconds, 1),
            "tokens_per_second": round(report.num_tokens / report.seconds),
            "first_loss": round(report.losses[0], 4),
            "training_loss": round(sum(tail) / len(tail), 4),
        }
    )
