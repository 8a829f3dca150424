"""Engines that draw completions. Importing this package loads no model library."""

from pathlib import Path

from shepherd.requests import Engine
from shepherd.settings import EngineSettings


def open_engine(settings: EngineSettings, model_path: Path | str) -> Engine:
    """Load the model at ``model_path`` (a checkpoint folder or a hub name) into an engine."""
    from resources.engines.transformers import TransformersEngine

    return TransformersEngine(
        model_path,
        batch_size=settings.batch_size,
        dtype=settings.dtype,
        device=settings.device,
    )
