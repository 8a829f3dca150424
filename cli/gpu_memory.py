"""What each model of a profile takes on the GPUs that the profile names, by the formula.

`python -m cli.gpu_memory` prints the GiB that the paper's models take on each of so many GPUs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from assets.deployment import models_of
from cli.console import plain_tables
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.architectures import ARCHITECTURES, Architecture
from shepherd.memory import GIB, can_split, inference_memory, scoring_bytes, training_memory
from shepherd.settings import GpuSettings, ModelSettings, Settings, TrainingSettings


@dataclass(frozen=True)
class Use:
    """One use of a model: ``gib`` on each of ``gpus`` GPUs, and whether that fits.

    ``note`` is what fits beside it, or why it does not.
    """

    model: str
    base: str
    billions: float
    use: str
    gpus: int
    gib: float
    fits: bool
    note: str


def uses_of(settings: Settings, store: ModelStore) -> Iterator[Use]:
    """Yield what the profile does with each model of which dimensions are known.

    Raises:
        ValueError: a base does not exist.
    """
    assert settings.gpus is not None, "asked for profiles that name their GPUs"
    for name, model in models_of(settings).items():
        is_scoring = name.endswith("reward_model")
        is_drawn = settings.engine.kind == "vllm" and not is_scoring
        if not (model.training or is_drawn or is_scoring):
            continue
        architecture = architecture_of(store.resolve(model.base))
        if architecture is None:
            continue
        if model.training:
            yield _training(name, model, architecture, settings.gpus)
        if is_scoring:
            yield _scoring(name, model, architecture, settings.gpus)
        elif is_drawn:
            yield _drawing(name, model, architecture, settings)


def _training(
    name: str, model: ModelSettings, architecture: Architecture, gpus: GpuSettings
) -> Use:
    assert model.training is not None
    needed = training_memory(architecture, model.training)
    count = model.training.num_processes
    return Use(
        name,
        model.base,
        architecture.num_parameters / 1e9,
        "training",
        count,
        needed.total / GIB,
        needed.fits(gpus.memory_gib * GIB) and count <= gpus.count,
        f"{needed.states / GIB:.1f} GiB of it parameters, gradients and moments",
    )


def _scoring(name: str, model: ModelSettings, architecture: Architecture, gpus: GpuSettings) -> Use:
    needed = scoring_bytes(architecture)
    return Use(
        name,
        model.base,
        architecture.num_parameters / 1e9,
        "scoring",
        1,
        needed / GIB,
        needed <= gpus.memory_gib * GIB,
        "",
    )


def _drawing(
    name: str, model: ModelSettings, architecture: Architecture, settings: Settings
) -> Use:
    assert settings.gpus is not None
    vllm = settings.engine.vllm
    count = vllm.tensor_parallel_size
    needed = inference_memory(architecture, count)
    longest = vllm.max_model_len or 2 * settings.sampling.max_tokens
    room = needed.tokens_in(settings.gpus.memory_gib * GIB, vllm.gpu_memory_utilization)
    return Use(
        name,
        model.base,
        architecture.num_parameters / 1e9,
        "drawing",
        count,
        needed.fixed / GIB,
        room >= longest and can_split(architecture, count) and count <= settings.gpus.count,
        f"beside it {room // longest:,} requests of {longest:,} tokens",
    )


def frame_of(uses: list[Use]) -> pl.DataFrame:
    """Return the uses as a table for the console."""
    return pl.DataFrame([vars(use) for use in uses]).select(
        "model",
        pl.col("billions").round(1),
        "use",
        "gpus",
        gib_each=pl.col("gib").round(1),
        fits=pl.when("fits").then(pl.lit("yes")).otherwise(pl.lit("NO")),
        note="note",
    )


def published_models() -> pl.DataFrame:
    """Return what each of the paper's models takes on each GPU, by use and number of GPUs."""
    rows = []
    for name, architecture in ARCHITECTURES.items():
        row: dict[str, str | float] = {
            "model": name.split("/")[1],
            "billions": architecture.num_parameters / 1e9,
        }
        for gpus in (1, 2, 4, 8):
            row[f"draw_{gpus}"] = inference_memory(architecture, gpus).fixed / GIB
        row["score_1"] = scoring_bytes(architecture) / GIB
        for gpus in (1, 8, 16):
            training = TrainingSettings(
                num_processes=gpus,
                sharded=gpus > 1,
                gradient_checkpointing=True,
                tokens_per_pass=4096,
            )
            row[f"train_{gpus}"] = training_memory(architecture, training).total / GIB
        rows.append(row)
    return pl.DataFrame(rows).with_columns(cs.float().round(1))


if __name__ == "__main__":
    with plain_tables():
        print(published_models())
