"""vLLM's own server, with a small random checkpoint on the CPU."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from designs import greedy_completions
from tiny_checkpoint import rollouts
from vllm_setup import ENVIRONMENT, WINDOW, content, draw, needs_vllm, save_small_model

from resources.engines import open_engine
from shepherd.requests import Request
from shepherd.settings import EngineSettings, OpenAISettings

pytestmark = pytest.mark.slow

KEY = "sk-very-secret"
HANGS_S = 1_800
"""Seconds after which a process counts as hanging, on the busiest machine."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save_small_model(tmp_path / "model")


@pytest.fixture
def server(checkpoint: Path, tmp_path: Path) -> Iterator[str]:
    """The address of vLLM's server of the checkpoint, under the name owner/model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "model": checkpoint,
        "served-model-name": "owner/model",
        "host": "127.0.0.1",
        "port": port,
        "dtype": "float32",
        "max-model-len": WINDOW,
        "max-num-seqs": 8,
        "generation-config": "vllm",
        "api-key": KEY,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments),
                *("--enforce-eager", "--no-enable-chunked-prefill"),
                "--enable-prompt-tokens-details",
            ],
            env={**os.environ, **ENVIRONMENT},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + HANGS_S
        # A client for each request would read all certificates again.
        with httpx.Client() as client:
            while not is_up(client, f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, (tmp_path / "log").read_text()[-4000:]
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-4000:]
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(HANGS_S)


def is_up(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@needs_vllm
def test_its_server_gives_the_same_completions(
    server: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = OpenAISettings(base_urls=(server,), patience=60.0)
    chosen = EngineSettings(kind="openai", batch_size=8, openai=servers)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with (
        pytest.raises(ValueError, match=r"401 .*OPENAI_API_KEY, is not set"),
        closing(open_engine(chosen, "owner/model")) as engine,
    ):
        draw(engine, rollouts(temperature=0.0))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with closing(open_engine(chosen, "owner/model")) as engine:
        too_long = Request("long", " apples" * WINDOW, seed=1, temperature=1.0, max_tokens=4)
        completions = draw(engine, [*rollouts(temperature=0.0), too_long])
        refused = completions.pop("long")
        assert (refused.finish_reason, refused.text) == ("error", "")
        assert str(refused.error).startswith("400")
        assert content(completions) == content(greedy_completions(checkpoint))
        sampled = rollouts(temperature=1.0)
        assert content(draw(engine, sampled)) == content(draw(engine, sampled))
    with (
        pytest.raises(ValueError, match=r"404 .*other"),
        closing(open_engine(chosen, "owner/other")) as engine,
    ):
        draw(engine, rollouts(temperature=0.0))
