"""Engines that draw completions. Importing this package loads no model library."""

from pathlib import Path

from shepherd.requests import Engine
from shepherd.settings import EngineSettings


def open_engine(settings: EngineSettings, model: Path | str) -> Engine:
    """Return the engine of ``settings.kind`` for a model.

    ``model`` is a checkpoint folder or a hub name; servers are asked for it by that name.

    Raises:
        ValueError: there is no such checkpoint, or the engine cannot run it.
    """
    if settings.kind == "openai":
        from resources.engines.openai import OpenAIEngine

        assert settings.openai is not None, "the settings check that servers are named"
        return OpenAIEngine(str(model), settings.openai, batch_size=settings.batch_size)
    from resources.engines.transformers import TransformersEngine

    return TransformersEngine(
        model, batch_size=settings.batch_size, dtype=settings.dtype, device=settings.device
    )
