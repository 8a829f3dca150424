"""What other servers, proxies and broken ones send: kept, tried again, or named at once."""

import gzip
import json
import logging
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from blocks import add, poll
from planned_server import KEY, Fault, Server, completion, draw, requests
from pydantic import ValidationError

from resources.engines import http_answers, server_answers
from resources.engines.finish_reasons import WORDS, ending_of
from resources.engines.openai import OpenAIEngine
from shepherd.engine_settings import OpenAISettings

pytestmark = pytest.mark.usefixtures("fast_retries")
Serve = Callable[..., Server]
GOOD = json.dumps(completion({"prompt": "p", "seed": 0})).encode()


def always(content: object, status: int = 200, **headers: str) -> Fault:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (status, named, body)


def once(content: object, status: int = 200, **headers: str) -> Fault:
    asked: list[object] = []

    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        asked.append(body)
        return always(content, status, **headers)(body) if len(asked) == 1 else None

    return fault


def answer(**choice: object) -> dict[str, Any]:
    whole = completion({"prompt": "p", "seed": 0})
    whole["choices"][0] |= choice
    return whole


def test_a_server_that_trickles_is_given_up_at_the_time_out(serve: Serve) -> None:
    slow = serve()
    slow.byte_seconds = 0.05
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"no whole answer within 0\.2 s \(request_timeout\)"):
        draw(requests(1), slow, request_timeout=0.2, patience=0.3)
    assert time.monotonic() - started < 0.05 * len(GOOD)


def test_a_healthy_server_answers_in_place_of_one_that_trickles(serve: Serve) -> None:
    slow, healthy = serve(), serve()
    slow.byte_seconds = 0.05
    completions = draw(requests(6), slow, healthy, request_timeout=0.3)
    assert {one.finish_reason for one in completions.values()} == {"stop"}


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_without_end_is_not_held(serve: Serve, *, is_packed: bool) -> None:
    received = []
    whole = http_answers.MAX_BODY_BYTES * 4
    content = gzip.compress(bytes(whole), 1) if is_packed else bytes(whole)

    def note(status: int, phrase: str, content: bytes, *rest: str) -> object:
        received.append(len(content))
        return make(status, phrase, content, *rest)

    make = http_answers.HttpAnswer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_answers, "HttpAnswer", note)
        headers = {"Content_Encoding": "gzip"} if is_packed else {}
        server = serve(once(content, **headers))
        [drawn] = draw(requests(1), server).values()
    assert drawn.finish_reason == "stop"
    assert received[0] == http_answers.MAX_BODY_BYTES + 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (always(GOOD, Content_Encoding="gzip"), "a body that is not gzip as its header says"),
        (always(gzip.compress(GOOD, mtime=0)[:-30], Content_Encoding="gzip"), "is not JSON"),
        (always(GOOD, Content_Encoding="br"), "the encoding br, which was not asked for"),
        (always(GOOD, Content_Encoding="gzip, gzip"), "the encoding gzip, gzip, which"),
        (always(GOOD.decode().encode("utf-16")), "not UTF-8 at byte 1"),
        (always('{"choices": "\u00e9"}'.encode("latin-1")), "not UTF-8 at byte 14"),
        (always(b"data: " + GOOD + b"\n\ndata: [DONE]\n\n"), "an event stream, which was not"),
        (always(b'{"choices":[{"text":"\\ud800"}]}'), "is not JSON"),
        (always(b"[" * 9_000), "is not JSON"),
        (always(b'{"usage":' + b"9" * 9_000 + b"}"), "is not JSON"),
        (always(b""), "is not JSON"),
        (always(b"", 204), "204 with a body that is not JSON"),
        (always([]), "something else than one completion"),
        (always(answer(text=None)), r"choices\.0\.text"),
        (always({**answer(), "choices": answer()["choices"] * 2}), "not 2"),
        (always({**answer(), "usage": {"prompt_tokens": 10**30}}), r"usage\.prompt_tokens"),
        (always({**answer(), "usage": {"prompt_tokens": -1}}), r"usage\.prompt_tokens"),
        (always({**answer(), "usage": {"prompt_tokens": float("nan")}}), r"usage\.prompt_tokens"),
        (always({**answer(), "usage": {"completion_tokens": 0.5}}), r"usage\.completion_tokens"),
        (always({**answer(), "usage": []}), "usage"),
    ],
)
def test_what_is_no_completion_is_tried_again_as_such(
    serve: Serve, fault: Fault, says: str
) -> None:
    sent = fault({})
    assert sent is not None
    status, headers, content = sent
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    passing = serve(once(content, status, **named))
    [drawn] = draw(requests(1), passing).values()
    assert (drawn.finish_reason, len(passing.asked)) == ("stop", 2)
    with pytest.raises(ValueError, match=says) as caught:
        draw(requests(1), serve(fault), patience=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        always(b"\xef\xbb\xbf" + GOOD),
        always(gzip.compress(GOOD, mtime=0), Content_Encoding="gzip"),
        always(GOOD, Content_Type="application/json; charset=hex"),
        always(GOOD, Content_Type="application/json; charset=\xff"),
        always({**answer(), "error": None}),
    ],
)
def test_a_completion_in_an_odd_envelope_is_read(serve: Serve, fault: Fault) -> None:
    server = serve(fault)
    [drawn] = draw(requests(1), server).values()
    assert (drawn.text, drawn.num_tokens, len(server.asked)) == (" p 0", 3, 1)


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        *((word, "stop") for word in ("eos", "eos_token", "end_turn", "stop_sequence", "STOP")),
        *((word, "length") for word in ("max_tokens", "MAX_TOKENS", "model_length")),
        *((word, "error") for word in ("SAFETY", "content-filter")),
        *((word, "stop") for word in ("", None)),
    ],
)
def test_finish_reasons_of_other_servers_are_understood(
    serve: Serve, word: str | None, ending: str
) -> None:
    server = serve(always(answer(finish_reason=word)))
    [drawn] = draw(requests(1), server).values()
    assert (drawn.finish_reason, len(server.asked)) == (ending, 1)


def test_without_a_finish_reason_the_number_of_tokens_says_whether_it_is_whole(
    serve: Serve,
) -> None:
    full = {**answer(finish_reason=None), "usage": {"completion_tokens": 5}}
    [drawn] = draw(requests(1), serve(always(full))).values()
    assert drawn.finish_reason == "length"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (answer(finish_reason="tool_calls"), "finish_reason 'tool_calls'"),
        (answer(finish_reason=7), "finish_reason 7"),
        ({**answer(finish_reason=None), "usage": None}, "finish_reason None"),
        ({"error": {"message": "no key", "code": 401}}, "200 with an error: .*no key"),
        ({"error": {"message": "no model", "code": "404"}}, "no model.*base_urls"),
        ({"error": {"message": "no key", "type": "authentication_error"}}, "an error: .*no key"),
        (
            {"error": {"type": "invalid_request_error", "code": "model_not_found"}},
            "model_not_found.*base_urls",
        ),
    ],
)
def test_what_no_retry_mends_is_named_at_once(serve: Serve, content: object, says: str) -> None:
    server = serve(always(content))
    with pytest.raises(ValueError, match=says):
        draw(requests(1), server)
    assert len(server.asked) == 1


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_a_completion_without_usage_is_read(serve: Serve, usage: object) -> None:
    [drawn] = draw(requests(1), serve(always({**answer(), "usage": usage}))).values()
    assert (drawn.text, drawn.prompt_tokens, drawn.num_tokens) == (" p 0", 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        {"error": "boom"},
        {"choices": [], "error": {"message": "boom", "code": "x"}},
        {"object": "error", "message": "boom"},
        answer(finish_reason="abort"),
    ],
)
def test_an_error_with_status_200_is_named_after_three_tries(serve: Serve, content: object) -> None:
    server = serve(always(content))
    with pytest.raises(ValueError, match=r"failed 3 times, last: .*(boom|abort)"):
        draw(requests(1), server)
    assert len(server.asked) == 3
    [drawn] = draw(requests(1), serve(once(content))).values()
    assert drawn.finish_reason == "stop"


def test_an_error_with_status_200_for_many_requests_ends_the_run_as_soon(serve: Serve) -> None:
    servers = [serve(always({"error": {"message": "boom"}})) for _ in range(2)]
    with pytest.raises(ValueError, match=r"failed \d times, last: 200 with an error: .*boom"):
        draw(requests(50), *servers)
    assert sum(len(server.asked) for server in servers) < 30


def test_an_error_with_status_200_that_one_request_has_is_its_own(serve: Serve) -> None:
    def fault(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        return always({"error": "boom"})(body) if body["seed"] == 2 else None

    completions = draw(requests(30), serve(fault, seconds=0.01))
    assert (
        completions.pop("r2").error == 'failed 3 times, last: 200 with an error: {"error": "boom"}'
    )
    assert {one.finish_reason for one in completions.values()} == {"stop"}


@pytest.mark.parametrize("code", [400, "413"])
def test_a_refusal_with_status_200_is_a_recorded_error(serve: Serve, code: object) -> None:
    server = serve(always({"error": {"message": "too long", "code": code}}))
    [drawn] = draw(requests(1), server).values()
    assert (drawn.finish_reason, len(server.asked)) == ("error", 1)


@pytest.mark.parametrize("status", [202, 409, 423, 424, 425, 499, 501, 504, 508, 520, 529, 599])
def test_passing_statuses_are_tried_again(serve: Serve, status: int) -> None:
    [drawn] = draw(requests(1), serve(once(b"later", status))).values()
    assert drawn.finish_reason == "stop"


@pytest.mark.parametrize(
    ("field", "reason", "end"),
    [
        ("matched_stop", "\n", "\n"),
        ("matched_stop", None, ""),
        ("finish_reason", "eos", ""),
        ("finish_reason", "stop_sequence", "\n"),
    ],
)
def test_other_words_for_a_stop_string_are_understood(
    serve: Serve, field: str, reason: str | None, end: str
) -> None:
    stopping = [each._replace(stop=("\n",), keep_stop=True) for each in requests(1)]
    [drawn] = draw(stopping, serve(always(answer(**{field: reason})))).values()
    assert drawn.text == f" p 0{end}"
    again = serve(always(answer(**{field: reason}, text=f"a{end}")))
    [drawn] = draw(stopping, again).values()
    assert drawn.text == f"a{end}"


def test_control_characters_of_a_message_reach_neither_terminal_nor_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    nasty = f"\x1b]0;title\x07\x1b[2J\r\0\u202ebad\u2028\x9b31m {KEY}".encode()
    for status in (401, 502, 200):
        with pytest.raises(ValueError, match="bad") as caught:
            draw(requests(4), serve(always(nasty, status)), patience=0.3)
        assert str(caught.value).isprintable()
        assert KEY not in str(caught.value)
    assert any(record.levelno == logging.WARNING for record in caplog.records)
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize(
    "value", ["Mon, 01 Jan 9999999999999999999999 00:00:00 GMT", "soon", "-5", "9" * 500]
)
def test_any_retry_after_is_read(value: str) -> None:
    seconds = server_answers.retry_after_seconds(value)
    assert 0 <= seconds <= server_answers.LONGEST_RETRY_AFTER


def test_words_of_finish_reasons_have_one_meaning() -> None:
    words = [word for words in WORDS.values() for word in words]
    assert len(words) == len(set(words))
    assert ending_of("nothing known") is None
    assert ending_of(["stop"]) is None


SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@host/v1",
        f"http://{SECRET}@host/v1",
        f"http://user:{SECRET}@host:8000/v1",
        f"http://host/v1?api_key={SECRET}",
        f"http://host/v1#{SECRET}",
        f"http://host:{SECRET}/v1",
        f"http://[{SECRET}/v1",
        f"http://host/v1 {SECRET}",
        f"http://host\\@{SECRET}/v1",
        f"http://host/\x1b{SECRET}",
        f"{SECRET}:8000",
        f"ftp://{SECRET}/v1",
    ],
)
def test_an_address_with_a_secret_is_refused_and_never_printed(url: str) -> None:
    with pytest.raises(ValidationError, match=r"http.*://host:port/v1.*api_key_variable") as caught:
        OpenAISettings(base_urls=("http://good/v1", url))
    [error] = caught.value.errors()
    assert "address 2" in error["msg"]
    assert SECRET not in error["msg"]


def test_a_key_in_place_of_its_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="not the key itself"):
        OpenAISettings(base_urls=("http://a/v1",), api_key_variable="sk-123")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "nonsense://x"),
        ("HTTP_PROXY", "http://h:x/"),
        ("SSL_CERT_FILE", "/no/such.pem"),
    ],
)
def test_an_environment_that_no_client_can_use_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    chosen = OpenAISettings(base_urls=("https://127.0.0.1:9/v1",), patience=0)
    with closing(OpenAIEngine("m", chosen, batch_size=1)) as engine:
        add(engine, requests(1))
        with pytest.raises(ValueError, match=variable) as caught:
            poll(engine)
    assert value not in str(caught.value)
