"""vLLM's own server, with a small checkpoint on the CPU."""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from designs import greedy_completions
from tiny_checkpoint import rollouts
from vllm_setup import ENVIRONMENT, content, draw, needs_vllm

from resources.engines import open_engine
from shepherd.requests import Engine, Request
from shepherd.settings import EngineSettings, OpenAISettings
from shepherd.word_problems import draw_problems, write_solution
from training.step_rewards import open_rewarder

pytestmark = pytest.mark.slow

KEY = "sk-very-secret"
HANGS_S = 1_800
"""Seconds after which a process counts as hanging, on the busiest machine."""

BASE = Path(__file__).parents[1] / "resources" / "base_models" / "base-small"
WINDOW = 256
TURNS = "{{ bos_token }}{% for turn in messages %}{{ turn.content }}\n{% endfor %}"
"""A chat template: a turn a line."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes solutions of several lines, as a random one repeats a word for ever."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(BASE, folder, dirs_exist_ok=True)
    (folder / "chat_template.jinja").write_text(TURNS)
    return folder


@pytest.fixture(scope="module")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of vLLM's server of the checkpoint, under the name owner/model."""
    with served(checkpoint, tmp_path_factory.mktemp("server") / "log") as url:
        yield url


@contextmanager
def served(checkpoint: Path, log_file: Path) -> Iterator[str]:
    """Run vLLM's server of a checkpoint; yield its address once it answers."""
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
    with log_file.open("w") as log:
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
                assert process.poll() is None, log_file.read_text()[-4000:]
                assert time.monotonic() < deadline, log_file.read_text()[-4000:]
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
def test_its_server_scores_steps_as_the_model_does(
    server: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    [problem] = draw_problems(0, "train", 1)
    response = write_solution(problem, random.Random(0))
    served = open_rewarder(checkpoint, server=server, served_as="owner/model", format="tags")
    here = open_rewarder(checkpoint, format="tags")
    with closing(served.scorer), closing(here.scorer):
        [theirs] = served.reward([problem.question], [response])
        [ours] = here.reward([problem.question], [response])
    assert len(ours.steps) > 1
    assert [step.score for step in theirs.steps] == pytest.approx(
        [step.score for step in ours.steps], abs=1e-4
    )


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


@needs_vllm
def test_its_chat_continues_a_turn_as_its_completions_continue_a_text(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine(endpoint: str) -> Engine:
        servers = OpenAISettings(base_urls=(server,), endpoint=endpoint, patience=60.0)
        chosen = EngineSettings(kind="openai", batch_size=8, openai=servers)
        return open_engine(chosen, "owner/model")

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    solved = [
        (problem.question, write_solution(problem, random.Random(0)))
        for problem in draw_problems(0, "train", 4)
    ]
    prefixes = [(question, text[: text.index("\n")]) for question, text in solved]
    asked = [
        Request(f"{n}", f"{question}\n{prefix}", n, 0.0, 12, prefix_length=len(prefix))
        for n, (question, prefix) in enumerate(prefixes)
    ]
    asked += [
        Request(f"new {n}", f"{question}\n", n, 0.0, 12) for n, (question, _) in enumerate(solved)
    ]
    # The template writes the newline behind the question.
    turns = [request._replace(prompt=request.prompt.replace("\n", "", 1)) for request in asked]
    with closing(engine("chat")) as chat, closing(engine("completions")) as completions:
        assert content(draw(chat, turns)) == content(draw(completions, asked))


@needs_vllm
def test_two_servers_cache_nearly_as_many_prompt_tokens_as_one(
    server: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def share_cached(urls: tuple[str, ...], questions: list[str]) -> float:
        """Return the share of the prompt tokens that were cached, over two rollouts a prefix."""
        servers = OpenAISettings(base_urls=urls, patience=60.0)
        chosen = EngineSettings(kind="openai", batch_size=4, openai=servers)
        asked = [
            Request(f"{n} {prefix} {k}", question + prefix, k, 1.0, 4, prefix_length=len(prefix))
            for n, question in enumerate(questions)
            for prefix in (" apples", " apples" * 20)
            for k in range(2)
        ]
        with closing(open_engine(chosen, "owner/model")) as engine:
            drawn = draw(engine, asked).values()
        assert {one.finish_reason for one in drawn} <= {"stop", "length"}
        return sum(one.cached_tokens for one in drawn) / sum(one.prompt_tokens for one in drawn)

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    # A block of the cache has 128 tokens on a CPU.
    questions = [one.question + " apples" * 128 for one in draw_problems(0, "train", 48)]
    with served(checkpoint, tmp_path / "log") as other:
        shares = (
            share_cached((server,), questions[:24]),
            share_cached((server, other), questions[24:]),
        )
    print(f"share of cached prompt tokens: {shares[0]:.3f} on one server, {shares[1]:.3f} on two")
    assert shares[0] > 0.4
    assert shares[1] >= 0.9 * shares[0]
