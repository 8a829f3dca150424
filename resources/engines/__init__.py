"""Open the engine that a profile names. Importing this package loads no model library."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from resources.engines.library_logs import prints_go_to
from shepherd.requests import Engine
from shepherd.settings import EngineSettings

if TYPE_CHECKING:
    from resources.engines.new_weights import ReloadableEngine


def open_engine(settings: EngineSettings, model: Path | str, *, log: Path | None = None) -> Engine:
    """Open the engine of ``settings.kind`` for a model.

    ``model`` is a checkpoint folder or a hub name; servers must serve it under that name. What the
    model libraries print goes to the file ``log`` instead of the console, if it is given.

    Raises:
        ValueError: there is no such checkpoint, the engine cannot run it or is not installed.
    """
    if settings.kind == "openai":
        from resources.engines.openai import OpenAIEngine

        assert settings.openai is not None, "the settings check that servers are named"
        return OpenAIEngine(str(model), settings.openai, batch_size=settings.batch_size)
    with prints_go_to(log):
        return open_local(settings, model)


def open_reloadable_engine(
    settings: EngineSettings, model: Path | str, *, log: Path | None = None
) -> "ReloadableEngine":
    """Open an engine on this machine that takes new weights of the same shapes.

    Raises:
        ValueError: as :func:`open_engine`.
    """
    with prints_go_to(log):
        return open_local(settings, model, is_reloaded=True)


def open_local(
    settings: EngineSettings, model: Path | str, *, is_reloaded: bool = False
) -> "ReloadableEngine":
    """Open an engine that loads the weights on this machine.

    With ``is_reloaded`` it also takes new weights, which only vLLM must know before.

    Raises:
        ValueError: as :func:`open_engine`.
    """
    assert settings.kind != "openai", "servers load the weights"
    from resources.engines.side_by_side import SideBySideEngine, copies_of

    if settings.kind == "vllm":
        require_vllm("engine.kind")
    copies = copies_of(settings, model)
    if len(copies) > 1:
        return SideBySideEngine(model, settings, copies)
    if settings.kind == "vllm":
        from resources.engines.vllm import VllmEngine

        return VllmEngine(
            model,
            settings.vllm,
            batch_size=settings.batch_size,
            dtype=settings.dtype,
            is_reloaded=is_reloaded,
        )
    from resources.engines.transformers import TransformersEngine

    return TransformersEngine(
        model, batch_size=settings.batch_size, dtype=settings.dtype, device=settings.device
    )


def require_vllm(setting: str) -> None:
    """Check that vLLM is installed; ``setting`` is the field that asks for it.

    Raises:
        ValueError: it is not.
    """
    if find_spec("vllm") is None:
        raise ValueError(
            f"{setting} vllm: vLLM is not installed: pip install -c constraints.txt '.[vllm]', or "
            f"set {setting} to transformers"
        )
