"""The engine of OpenAI-compatible servers, against small real ones with planned faults."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from blocks import add, drain, poll
from planned_server import (
    HANGS_S,
    KEY,
    Server,
    completion,
    draw,
    failing_first,
    requests,
    settings,
)

from resources.engines import open_engine, openai, replicas
from resources.engines.openai import OpenAIEngine, read_key
from resources.engines.replicas import Replica, Replicas
from shepherd.dependencies import engine_fingerprint
from shepherd.requests import Completion
from shepherd.settings import EngineSettings, OpenAISettings

pytestmark = pytest.mark.usefixtures("fast_retries")


def test_a_request_says_what_to_draw_and_its_answer_is_read(serve: Callable[..., Server]) -> None:
    server = serve()
    [drawn] = draw(requests(1), server).values()
    assert server.asked == [
        {
            "model": "owner/model",
            "prompt": "p",
            "seed": 0,
            "temperature": 0.7,
            "top_p": 1.0,
            "max_tokens": 5,
        }
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    seconds = drawn.seconds
    assert drawn == Completion("r0", " p 0", "stop", 7, 4, 3, seconds)
    assert 0 < seconds < 10


@pytest.mark.parametrize(("reason", "end"), [("\n", "\n"), (None, ""), (7, "")])
def test_a_stop_string_is_put_back_where_the_server_says_that_it_ended_the_text(
    serve: Callable[..., Server], reason: str | int | None, end: str
) -> None:
    def stop(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        answer = completion(body)
        answer["choices"][0]["stop_reason"] = reason
        return 200, {}, json.dumps(answer).encode()

    server = serve(stop)
    stopping = [one._replace(stop=("\t", "\n"), keep_stop=True) for one in requests(1)]
    [drawn] = draw(stopping, server).values()
    assert drawn.text == f" p 0{end}"
    assert server.asked[0]["stop"] == ["\t", "\n"]


def test_a_text_is_cut_at_its_stop_string_whatever_the_server_says(
    serve: Callable[..., Server],
) -> None:
    [drawn] = draw([r._replace(stop=(" 0", "p"), top_p=0.9) for r in requests(1)], serve()).values()
    assert (drawn.text, drawn.finish_reason) == (" ", "stop")


def test_a_server_that_does_not_say_what_ended_a_text_is_refused(
    serve: Callable[..., Server],
) -> None:
    with pytest.raises(ValueError, match=r"does not say whether a stop string.*vLLM's"):
        draw([r._replace(stop=("\n",), keep_stop=True) for r in requests(1)], serve())


def test_without_a_key_none_is_sent(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPLETER_KEY")
    server = serve()
    assert draw(requests(1), server)
    assert "Authorization" not in server.headers[0]


def test_requests_at_once_are_bounded_and_spread_over_servers(
    serve: Callable[..., Server],
) -> None:
    all_in_flight = threading.Barrier(12)

    def wait_for_the_others(body: dict[str, Any]) -> None:
        if body["seed"] < all_in_flight.parties:
            all_in_flight.wait(HANGS_S)

    servers = [serve(wait_for_the_others) for _ in range(3)]
    started = time.perf_counter()
    completions = draw(requests(60), *servers)
    elapsed = time.perf_counter() - started
    assert {c.text for c in completions.values()} == {f" p {k}" for k in range(60)}
    assert [server.most_at_once for server in servers] == [4, 4, 4]
    assert sum(c.seconds for c in completions.values()) <= elapsed


def test_requests_may_be_added_while_others_run(serve: Callable[..., Server]) -> None:
    server = serve(seconds=0.01)
    with closing(OpenAIEngine("m", settings(server), batch_size=2)) as engine:
        assert engine.capacity == 2
        assert not poll(engine)
        completions = {}
        asked = requests(9)
        for start in range(0, 9, 3):
            add(engine, asked[start : start + 3])
            completions |= poll(engine)
        completions |= drain(engine)
        assert completions.keys() == {request.id for request in asked}
        assert not poll(engine)


@pytest.mark.parametrize("status", [0, 408, 429, 500, 502, 503])
def test_what_may_succeed_later_is_tried_again(serve: Callable[..., Server], status: int) -> None:
    server = serve(failing_first(2, status))
    completions = draw(requests(6), server)
    assert {c.finish_reason for c in completions.values()} == {"stop"}
    assert len(server.asked) == 18


@pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"choices": [], "usage": {}}'])
def test_an_answer_that_is_no_completion_is_tried_again(
    serve: Callable[..., Server], content: bytes
) -> None:
    tries: Counter[int] = Counter()

    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        tries[body["seed"]] += 1
        return (200, {}, content) if tries[body["seed"]] == 1 else None

    completions = draw(requests(3), serve(fault))
    assert {c.finish_reason for c in completions.values()} == {"stop"}


def test_a_request_that_times_out_is_tried_again(serve: Callable[..., Server]) -> None:
    tries: Counter[int] = Counter()

    def fault(body: dict[str, Any]) -> None:
        tries[body["seed"]] += 1
        if body["seed"] == 1 and tries[1] == 1:
            time.sleep(1.5)

    completions = draw(requests(4), serve(fault), request_timeout=1.0)
    assert {c.finish_reason for c in completions.values()} == {"stop"}
    assert tries[1] == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_for_as_long_as_it_asks(
    serve: Callable[..., Server], status: int
) -> None:
    times = []

    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        times.append(time.monotonic())
        return (status, {"Retry-After": "1"}, b"") if len(times) == 1 else None

    assert len(draw(requests(1), serve(fault))) == 1
    assert times[1] - times[0] >= 0.99


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_a_recorded_error(serve: Callable[..., Server], status: int) -> None:
    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        return (status, {}, b'{"message":\n "too long"}') if body["seed"] == 2 else None

    server = serve(fault)
    completions = draw(requests(4), server)
    refused = completions.pop("r2")
    assert (refused.finish_reason, refused.text) == ("error", "")
    assert refused.error == f'{status} {{"message": "too long"}}'
    assert {c.finish_reason for c in completions.values()} == {"stop"}
    assert len(server.asked) == 4


def test_a_request_that_a_living_server_always_fails_on_is_a_recorded_error(
    serve: Callable[..., Server],
) -> None:
    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        return (500, {}, b"boom") if body["seed"] == 2 else None

    server = serve(fault, seconds=0.01)
    completions = draw(requests(40), server)
    assert completions["r2"].error == f"failed {openai.MAX_ATTEMPTS} times, last: 500 boom"
    assert sum(c.finish_reason == "stop" for c in completions.values()) == 39


def test_a_dead_server_is_left_out_and_taken_back(serve: Callable[..., Server]) -> None:
    alive, dead = serve(seconds=0.005), serve()
    dead.stop()
    with closing(OpenAIEngine("m", settings(alive, dead), batch_size=4)) as engine:
        add(engine, requests(40))
        assert len(drain(engine)) == 40
        assert len(alive.asked) == 40
        again = serve(port=dead.port)
        deadline = time.monotonic() + HANGS_S
        while not again.asked and time.monotonic() < deadline:
            add(engine, requests(8))
            assert {c.finish_reason for c in drain(engine).values()} == {"stop"}
        add(engine, requests(40))
        drain(engine)
        assert len(again.asked) > 5


def test_all_servers_dead_end_the_run_in_one_line(serve: Callable[..., Server]) -> None:
    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        return None if body["seed"] < 3 else (500, {}, b"boom")

    broken, gone = serve(fault), serve()
    gone.stop()
    with closing(OpenAIEngine("m", settings(broken, gone, patience=0.5), batch_size=3)) as engine:
        add(engine, requests(9)[:3])
        assert len(drain(engine)) == 3
        add(engine, requests(9)[3:])
        with pytest.raises(ValueError, match=r"no server has answered for 0\.5 s") as caught:
            poll(engine)
        assert "\n" not in str(caught.value)
        assert all(part in str(caught.value) for part in (broken.url, "500 boom", gone.url))
        with pytest.raises(ValueError, match="no server has answered"):
            poll(engine)


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, r"401 .*\(the variable of the key, COMPLETER_KEY, is set\)"), (302, "302 Found")],
)
def test_a_wrong_server_or_key_ends_the_run_and_no_message_holds_the_key(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture, status: int, says: str
) -> None:
    content = f"bad key {KEY}".encode() if status == 401 else b""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ValueError, match=says) as caught:
        draw(requests(1), serve(lambda body: (status, {}, content)))
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text


def test_servers_without_the_model_are_left_out(serve: Callable[..., Server]) -> None:
    other = serve(lambda body: (404, {}, b"model m does not exist"))
    completions = draw(requests(8), serve(), other)
    assert {c.finish_reason for c in completions.values()} == {"stop"}
    with pytest.raises(ValueError, match=r"404 model m does not exist.*engine\.openai\.base_urls"):
        draw(requests(8), other)


def test_close_ends_what_runs(serve: Callable[..., Server]) -> None:
    released = threading.Event()

    def hold(body: dict[str, Any]) -> None:
        assert released.wait(HANGS_S)

    server = serve(hold)
    engine = OpenAIEngine("m", settings(server), batch_size=4)
    add(engine, requests(8))
    while not server.asked:
        time.sleep(0.01)
    # It returns although no server has answered.
    engine.close()
    assert not released.is_set()
    released.set()
    assert not poll(engine)


def test_the_circuit_opens_probes_and_closes() -> None:
    pool = Replicas(("http://a",), batch_size=10, patience=1000.0)

    def take(now: float) -> Replica | None:
        return pool.take(now, prefers=bool)

    def fail(now: float) -> None:
        replica = take(now)
        assert replica is not None
        pool.release(replica)
        pool.failed(replica, now, "down")

    for now in (0.0, 0.1, 0.2):
        fail(now)
    assert take(0.2) is None
    reopens = 0.2 + replicas.FIRST_PAUSE
    fail(reopens)
    assert take(reopens + replicas.FIRST_PAUSE) is None
    probe = take(reopens + 2 * replicas.FIRST_PAUSE)
    assert probe is not None
    assert take(reopens + 2 * replicas.FIRST_PAUSE) is None
    pool.release(probe)
    pool.answered(probe)
    assert [take(10.0) for _ in range(11)].count(None) == 1


def test_open_engine_follows_the_settings(serve: Callable[..., Server]) -> None:
    server = serve()
    chosen = EngineSettings(kind="openai", batch_size=3, openai=settings(server, server))
    with closing(open_engine(chosen, "owner/model")) as engine:
        assert engine.capacity == 6
        add(engine, requests(1))
        assert len(drain(engine)) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [("127.0.0.1:8000", "http"), ("http://user:pass@host/v1", "api_key_variable")],
)
def test_servers_are_named_by_plain_addresses(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        OpenAISettings(base_urls=(url,))


def test_the_openai_engine_needs_servers() -> None:
    with pytest.raises(ValueError, match=r"engine\.openai\.base_urls"):
        EngineSettings(kind="openai")


def test_draws_are_known_by_their_model_and_not_by_where_it_is_served() -> None:
    def identity(kind: str, **fields: Any) -> object:
        return engine_fingerprint(EngineSettings(kind=kind, **fields), "owner/model")

    here, there = (OpenAISettings(base_urls=(f"http://{host}/v1",)) for host in ("a", "b"))
    served = identity("openai", openai=here)
    assert served == identity("openai", openai=there, batch_size=3, dtype="float32")
    assert served != identity("vllm")
    assert identity("vllm") != identity("vllm", dtype="float32")
    assert identity("transformers") != identity("vllm")
    assert identity("transformers") == identity("transformers", batch_size=3)


def test_a_key_with_stray_characters_is_trimmed_or_refused_without_being_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY", " sk-secret\n")
    assert read_key("A_KEY") == "sk-secret"
    monkeypatch.delenv("A_KEY")
    assert read_key("A_KEY") == ""
    for key in ("sk-sec\nret", "sk-sécret", "Bearer sk-secret"):
        monkeypatch.setenv("A_KEY", key)
        with pytest.raises(ValueError, match="A_KEY: the key holds characters") as refusal:
            read_key("A_KEY")
        assert "cret" not in str(refusal.value)
