"""Fine-tune a model of the profile from its base, and save it in the model store."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
import polars as pl

from assets.deployment import Deployment
from assets.describe import OWNERS, provenance
from resources.storage.atomic import publish, replacing_path
from resources.storage.io_manager import CONTENT_KEY, MetadataField
from resources.storage.model_store import check_hub
from resources.storage.weights import weights_identity
from shepherd.dependencies import code_version
from shepherd.settings import Settings, TrainingSettings
from shepherd.training_sets import Part

if TYPE_CHECKING:
    from training.runs import TrainingReport

ROOT = Path(__file__).resolve().parent.parent.parent

SHARDED = ["--use_fsdp", "--fsdp_version=2", "--fsdp_auto_wrap_policy=TRANSFORMER_BASED_WRAP"]
"""Gather the weights layer by layer. Without a policy, the whole model is gathered at once."""


def model_asset(
    settings: Settings,
    name: str,
    *,
    group: str,
    ins: Mapping[str, dg.AssetIn],
    description: str | None = None,
    deps: Sequence[str] = (),
) -> Callable[[Callable[..., dg.MaterializeResult[None]]], dg.AssetsDefinition]:
    """Decorate a function that trains a model of the profile."""
    decorate: Callable[[Callable[..., dg.MaterializeResult[None]]], dg.AssetsDefinition] = dg.asset(
        key=name,
        group_name=group,
        kinds={"torch"},
        owners=OWNERS,
        tags={"stage": group},
        pool=settings.runs.training_pool,
        ins=ins,
        deps=deps,
        description=description,
        code_version=code_version(settings, name),
        metadata=provenance(settings, name),
    )
    return decorate


@dataclass(frozen=True)
class ExamplePlans:
    """Lazy frames of examples: those to train on, and those of held-out problems."""

    train: pl.LazyFrame
    held_out: pl.LazyFrame

    @classmethod
    def of(cls, part: Callable[[Part], pl.LazyFrame]) -> "ExamplePlans":
        """Make both with one function."""
        return cls(part("train"), part("validation"))


@dataclass(frozen=True)
class FineTuning:
    """A training to run, in this process or in several."""

    trainer: Literal["sft", "orm", "prm"]
    base: str | Path
    """The checkpoint folder or hub name to start from."""
    examples: ExamplePlans
    training: TrainingSettings
    template: str
    """The prompt template: a name or a text."""
    seed: int
    work: Path
    """The folder from which a killed training resumes."""


def fine_tune(
    deployment: Deployment, name: str, trainer: Literal["sft", "orm", "prm"], plans: ExamplePlans
) -> dg.MaterializeResult[None]:
    """Train a model and save it. A model without ``training`` is its base.

    A training that was killed resumes from its last checkpoint.

    Raises:
        ValueError: the base does not exist or cannot be downloaded, or there are no examples.
    """
    settings = deployment.model(name)
    base, training = deployment.base(name), settings.training
    # A model that is served elsewhere need not be here.
    if training is not None or deployment.settings.engine.kind != "openai":
        check_hub(base)
    if training is None:
        return model_result(deployment, name, {"base": str(base)})
    if plans.train.head(1).collect().is_empty():
        raise ValueError(
            f"{name}: there are no examples to train on: it needs train problems with gold "
            "solutions (reward models: with labels by annotation.train_on)"
        )
    plan = FineTuning(
        trainer,
        base,
        plans,
        training,
        template=settings.template,
        seed=deployment.settings.seed,
        work=deployment.models.work(name),
    )
    train = train_here if training.num_processes == 1 else train_in_processes
    report = deployment.models.save(name, lambda out: train(plan, out))
    return model_result(deployment, name, {"base": settings.base, **figures_of(report)})


def model_result(
    deployment: Deployment, name: str, metadata: Mapping[str, MetadataField]
) -> dg.MaterializeResult[None]:
    """Return the result of a model asset: its metadata, and the hash of its weights as content."""
    checkpoint = deployment.checkpoint(name)
    content = weights_identity(checkpoint)
    is_saved = isinstance(checkpoint, Path) and checkpoint.is_relative_to(deployment.home.models)
    return dg.MaterializeResult(
        metadata={
            **({"path": dg.MetadataValue.path(deployment.models.link(name))} if is_saved else {}),
            **metadata,
            **provenance(deployment.settings, name),
            CONTENT_KEY: content,
        },
        data_version=dg.DataVersion(content),
    )


def train_here(plan: FineTuning, out: Path) -> "TrainingReport":
    """Train in this process, and save the checkpoint in the folder ``out``."""
    from training.__main__ import TRAINERS
    from training.runs import TrainingRun

    return TRAINERS[plan.trainer](
        TrainingRun(
            plan.base,
            plan.examples.train,
            out,
            plan.training,
            template=plan.template,
            seed=plan.seed,
            held_out=plan.examples.held_out,
            work=plan.work,
        )
    )


def train_in_processes(plan: FineTuning, out: Path) -> "TrainingReport":
    """Train under ``accelerate launch``, with one process a GPU.

    The processes read the examples from files in ``work`` and report through Dagster Pipes.
    """
    from training.command_line import flags_of
    from training.runs import TrainingReport

    work, training = plan.work, plan.training
    work.mkdir(parents=True, exist_ok=True)
    data, held_out = work / "examples.parquet", work / "held_out.parquet"
    for examples, path in ((plan.examples.train, data), (plan.examples.held_out, held_out)):
        with replacing_path(path) as new:
            examples.sink_parquet(new)
            publish(new, path)
    report = launch(
        [
            *(plan.trainer, f"--base={absolute(plan.base)}"),
            *("--data", str(data), "--held-out", str(held_out), f"--out={out.absolute()}"),
            *(f"--work={work.resolve()}", f"--template={plan.template}", f"--seed={plan.seed}"),
            *flags_of(training),
        ],
        training.num_processes,
        is_sharded=training.sharded,
    )
    return TrainingReport(**report)


def launch(arguments: Sequence[str], num_processes: int, *, is_sharded: bool) -> dict[str, Any]:
    """Run ``python -m training`` under ``accelerate launch``, with one process a GPU.

    Returns:
        What the main process reports through Dagster Pipes.
    """
    from resources.engines.kept import close_kept_engine

    close_kept_engine()
    sharding = SHARDED if is_sharded else ["--multi_gpu"]
    done = dg.PipesSubprocessClient(cwd=str(ROOT)).run(
        context=dg.AssetExecutionContext.get(),
        command=[
            *(sys.executable, "-m", "accelerate.commands.launch", *sharding),
            *("--num_processes", str(num_processes), "--num_machines", "1"),
            *("--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"),
            *("-m", "assets.models.training_process", *arguments),
        ],
    )
    [report] = done.get_custom_messages()
    assert isinstance(report, dict)
    return report


def absolute(model: str | Path) -> str:
    """Return a checkpoint as a process in another working directory finds it."""
    return str(model.resolve() if isinstance(model, Path) else model)


def figures_of(report: "TrainingReport") -> dict[str, MetadataField]:
    """Return the figures of a training run as metadata: numbers to plot, and the loss curve."""
    tail = report.losses[-max(1, len(report.losses) // 10) :]
    last = report.evaluations[-1] if report.evaluations else {}
    return {
        "examples": report.num_examples,
        "examples_cut": report.num_cut,
        "batches": report.num_steps,
        "seconds": round(report.seconds, 1),
        "tokens_per_second": round(report.num_tokens / max(report.seconds, 1e-9)),
        "first_loss": round(report.losses[0], 4),
        "training_loss": round(sum(tail) / len(tail), 4),
        **{f"validation_{name}": value for name, value in last.items() if name != "step"},
        "loss_curve": loss_curve(report),
    }


def loss_curve(report: "TrainingReport", num_points: int = 20) -> dg.TableMetadataValue:
    """Return the loss curve in at most ``num_points`` parts.

    Each part has its mean training loss and the figures of its last evaluation.
    """
    length = -(-report.num_steps // num_points)
    records = []
    for first in range(0, report.num_steps, length):
        losses = report.losses[first : first + length]
        within = [e for e in report.evaluations if first < e["step"] <= first + length]
        figures = within[-1] if within else {}
        records.append(
            dg.TableRecord(
                {
                    "step": first + len(losses),
                    "loss": round(sum(losses) / len(losses), 4),
                    **{
                        f"validation_{name}": round(figures[name], 4) if name in figures else None
                        for name in (report.evaluations[0] if report.evaluations else {})
                        if name != "step"
                    },
                }
            )
        )
    return dg.MetadataValue.table(records)
