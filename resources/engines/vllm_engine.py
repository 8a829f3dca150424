"""Open vLLM's engine in this process, and end it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields

from vllm import EngineArgs
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.distributed.parallel_state import model_parallel_is_initialized
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.llm_engine import LLMEngine

from resources.engines.kept import close_kept_engine
from shepherd.nearest import did_you_mean


def check_extra_arguments(extra: Iterable[str], arguments: Mapping[str, object]) -> None:
    """Check the names of ``engine.vllm.extra_arguments``, beside the other ``arguments``.

    Raises:
        ValueError: one is not vLLM's, or the pipeline sets it.
    """
    known = {field.name for field in fields(EngineArgs)}
    for name in extra:
        where = f"engine.vllm.extra_arguments.{name}"
        if name in arguments:
            raise ValueError(f"{where}: the pipeline sets it itself: leave it out")
        if name.startswith("data_parallel"):
            raise ValueError(f"{where}: set engine.vllm.copies instead")
        if name not in known:
            raise ValueError(
                f"{where}: vLLM has no such argument{did_you_mean(name, known)}: correct its name"
            )


def open_vllm(arguments: Mapping[str, object], setting: str) -> LLMEngine:
    """Open vLLM's engine, given its ``EngineArgs`` by name.

    ``setting`` is the section of the profile that asks for it.

    An engine that is kept open for a later stage is closed first, for its memory.

    Raises:
        ValueError: vLLM refuses the checkpoint or the settings, or does not start.
    """
    close_kept_engine()
    # vLLM reports its use over the network by default.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        # The usage context sets the number of tokens of a step: bulk work takes more.
        return LLMEngine.from_engine_args(EngineArgs(**arguments), UsageContext.LLM_CLASS)
    except (ValueError, TypeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{arguments['model']}: vLLM refuses it: correct {setting} in the profile ({reason})"
        ) from error
    except RuntimeError as error:
        # The worker that failed is another process, which prints its reason itself.
        raise ValueError(
            f"{arguments['model']}: vLLM did not start: its worker says why in its own messages, "
            f"such as too little free memory: correct {setting} in the profile"
        ) from error


def end_vllm(engine: LLMEngine) -> None:
    """End an engine so that another one can be opened in this process."""
    engine.engine_core.shutdown()
    # Where the engine was in this process, the next one would find its process groups. Otherwise
    # the groups here, if any, are those of a training.
    if model_parallel_is_initialized():
        cleanup_dist_env_and_memory()
