"""Compute the GPU memory that each model of a profile needs, by the formulas of shepherd.memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from assets.deployment import models_of
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.architectures import ARCHITECTURES, Architecture
from shepherd.memory import GIB, can_split, inference_memory, scoring_bytes, training_memory
from shepherd.policy_memory import policy_memory
from shepherd.settings import (
    GpuSettings,
    ModelSettings,
    PolicySettings,
    RftSettings,
    Settings,
    TrainingSettings,
)


@dataclass(frozen=True)
class ModelUse:
    """The memory that one use of a model needs."""

    model: str
    """Name of the model in the profile."""
    base: str
    """Checkpoint that the model starts from."""
    billions: float
    """Parameters, in billions."""
    use: str
    """``training``, ``scoring`` or ``drawing`` (sampling with vLLM)."""
    gpus: int
    """Number of GPUs that share the model, or hold a copy each."""
    gib: float
    """GiB on each of them."""
    fits: bool
    """Whether the GPUs of the profile have that much memory, and are that many."""
    note: str
    """What the memory holds, or how many requests fit into the rest of it."""


def uses_of(settings: Settings, store: ModelStore) -> Iterator[ModelUse]:
    """Yield each use that the profile has for each model and policy of a known architecture.

    Raises:
        ValueError: a base does not exist.
    """
    assert settings.gpus is not None, "the caller checks that the profile names its GPUs"
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
    for name, policy in settings.policies.items():
        yield from _policy(name, policy, settings, store)


def _policy(
    name: str, policy: PolicySettings, settings: Settings, store: ModelStore
) -> Iterator[ModelUse]:
    """Yield the training of a policy, if the dimensions of its models are known."""
    gpus, start = settings.gpus, settings.generators[policy.start]
    architecture = architecture_of(store.resolve(start.base))
    if gpus is None or architecture is None:
        return
    if isinstance(policy, RftSettings):
        as_model = start.model_copy(update={"training": policy.training})
        yield _training(name, as_model, architecture, gpus)
        return
    judge = architecture_of(store.resolve(models_of(settings)[policy.reward_model].base))
    if judge is None:
        return
    gpu_bytes, vllm = gpus.memory_gib * GIB, settings.engine.vllm
    of_vllm = int(vllm.gpu_memory_utilization * gpu_bytes)
    needed = policy_memory(
        architecture,
        judge,
        policy,
        engine_bytes=of_vllm if settings.engine.kind == "vllm" else None,
    )
    parts = [f"{part / GIB:.1f}" for part in (needed.policy, needed.value, needed.frozen)]
    yield ModelUse(
        name,
        start.base,
        architecture.num_parameters / 1e9,
        "training",
        policy.num_processes,
        needed.total / GIB,
        needed.fits(gpu_bytes) and policy.num_processes <= gpus.count,
        f"policy {parts[0]}, value {parts[1]}, frozen {parts[2]}, engine {needed.engine / GIB:.1f}",
    )


def _training(
    name: str, model: ModelSettings, architecture: Architecture, gpus: GpuSettings
) -> ModelUse:
    assert model.training is not None
    predicts_text = not name.endswith("reward_model") or model.training.lm_weight > 0
    needed = training_memory(architecture, model.training, predicts_text=predicts_text)
    count = model.training.num_processes
    return ModelUse(
        name,
        model.base,
        architecture.num_parameters / 1e9,
        "training",
        count,
        needed.total / GIB,
        needed.fits(gpus.memory_gib * GIB) and count <= gpus.count,
        f"{needed.states / GIB:.1f} GiB of it for parameters, gradients and moments",
    )


def _scoring(
    name: str, model: ModelSettings, architecture: Architecture, gpus: GpuSettings
) -> ModelUse:
    scoring = model.scoring
    if scoring.engine == "vllm":
        count = scoring.vllm.tensor_parallel_size
        needed = inference_memory(architecture, count).fixed
        room = gpus.memory_gib * GIB * scoring.vllm.gpu_memory_utilization
        fits, note = needed <= room and can_split(architecture, count), ""
    else:
        count = scoring.num_copies
        needed = scoring_bytes(architecture)
        fits = needed <= gpus.memory_gib * GIB
        note = "a copy on each" if count > 1 else ""
    return ModelUse(
        name,
        model.base,
        architecture.num_parameters / 1e9,
        "scoring",
        count,
        needed / GIB,
        fits and count <= gpus.count,
        note,
    )


def _drawing(
    name: str, model: ModelSettings, architecture: Architecture, settings: Settings
) -> ModelUse:
    assert settings.gpus is not None
    vllm = settings.engine.placed(model.vllm).vllm
    count = vllm.tensor_parallel_size
    needed = inference_memory(architecture, count)
    longest = vllm.max_model_len or 2 * settings.sampling.max_tokens
    room = needed.tokens_in(settings.gpus.memory_gib * GIB, vllm.gpu_memory_utilization)
    return ModelUse(
        name,
        model.base,
        architecture.num_parameters / 1e9,
        "drawing",
        vllm.num_gpus_of_all,
        needed.fixed / GIB,
        room >= longest
        and can_split(architecture, count)
        and vllm.num_gpus_of_all <= settings.gpus.count,
        f"{f'{vllm.copies} copies, each with ' if vllm.copies > 1 else ''}"
        f"room for {room // longest:,} requests of {longest:,} tokens",
    )


def table_of(uses: list[ModelUse]) -> pl.DataFrame:
    """Return uses as a table for the console."""
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
    """Return the GiB per GPU that each of the paper's models needs.

    ``draw_2`` is sampling on two GPUs, ``score_1`` scoring on one, ``train_8`` training on eight.
    """
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
                batch_size=8 * gpus,
            )
            row[f"train_{gpus}"] = training_memory(architecture, training).total / GIB
        rows.append(row)
    return pl.DataFrame(rows).with_columns(cs.float().round(1))
