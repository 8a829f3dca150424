"""Engines asked row by row."""

from collections.abc import Iterable

from shepherd.requests import Completion, Engine, Request, completion_rows, request_block


def add(engine: Engine, requests: Iterable[Request]) -> None:
    """Queue requests."""
    engine.add(request_block(requests))


def poll(engine: Engine) -> dict[str, Completion]:
    """Return what has finished, by request."""
    return {completion.request_id: completion for completion in completion_rows(engine.poll())}


def drain(engine: Engine) -> dict[str, Completion]:
    """Return all completions of what is queued, by request."""
    completions: dict[str, Completion] = {}
    while finished := poll(engine):
        completions |= finished
    return completions
