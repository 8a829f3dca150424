"""Fingerprint what completions depend on beside the ids and prompts of their requests."""

import json
from collections.abc import Iterator, Mapping, Sequence

from shepherd.dependencies.paths import values_at
from shepherd.identity import SEEDING
from shepherd.settings import EngineSettings

Fingerprint = Mapping[str, str | int | float]
"""What a stage's completions depend on, by name, beside the ids and prompts of its requests."""


def engine_fingerprint(engine: EngineSettings, weights: str) -> Fingerprint:
    """Return what completions depend on beside their requests and prompts.

    ``weights`` is the identity of a checkpoint (:mod:`resources.storage.weights`).
    """
    fingerprint: dict[str, str | int | float] = {"weights": weights}
    for field in engine_fields(engine):
        for path, value in values_at(engine, field).items():
            name = _FINGERPRINT_KEYS.get(path, path)
            fingerprint[name] = value if isinstance(value, str | int | float) else json.dumps(value)
    return fingerprint


_FINGERPRINT_KEYS = {
    "kind": "engine",
    "dtype": "dtype",
    "vllm.max_model_len": "max_model_len",
    "openai.endpoint": "endpoint",
}


def draw_fingerprint(
    model: Fingerprint,
    *,
    template: str,
    run_seed: int,
    temperature: float,
    max_tokens: int,
    stop: Sequence[str] = (),
    top_p: float = 1.0,
) -> Fingerprint:
    """Return what decides the completion of a request, beside the request's id and question.

    ``model`` is of :func:`engine_fingerprint`, ``template`` the text of the prompt template.
    Journals and the footers of Parquet files hold the fingerprint. Earlier versions had neither
    ``stop`` nor ``top_p``: fingerprints hold them only where they change completions.
    """
    endings: Fingerprint = {"stop": json.dumps(list(stop))} if stop else {}
    nucleus: Fingerprint = {"top_p": top_p} if top_p < 1 else {}
    return {
        **endings,
        **nucleus,
        **model,
        "template": template,
        "seed": run_seed,
        "seeding": SEEDING,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


def engine_fields(engine: EngineSettings) -> Iterator[str]:
    """Yield the fields of an engine that change its completions by more than rounding.

    The precision of servers is not known here. vLLM cuts completions at ``max_model_len``, and may
    do anything with its other arguments. Chat servers put the prompt into a template of their own.
    """
    yield "kind"
    if engine.kind != "openai":
        yield "dtype"
    if engine.kind == "vllm" and engine.vllm.max_model_len is not None:
        yield "vllm.max_model_len"
    if engine.kind == "vllm" and engine.vllm.extra_arguments:
        yield "vllm.extra_arguments"
    if engine.speaks_chat:
        yield "openai.endpoint"
