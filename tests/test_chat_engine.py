"""Chat servers: solutions and critiques, and rollouts where a server continues a turn."""

import json
import logging
from collections.abc import Callable
from typing import Any

import chat_server
import pytest
from chat_server import chat_answer, prompt_of, written
from planned_server import Server, draw, requests

from resources.engines import continuation
from resources.sampling.stage import completion_model_of
from shepherd.dependencies import engine_fingerprint
from shepherd.requests import Completion, Request
from shepherd.settings import EngineSettings, ModelSettings, OpenAISettings, Settings

pytestmark = pytest.mark.usefixtures("fast_retries")
Serve = Callable[..., Server]
Body = dict[str, Any]

QUESTION, PREFIX = "How many?", "First add.\nThen double.\n"
ROLLOUT = Request("x", QUESTION + PREFIX, 1, 0.7, 6, prefix_length=len(PREFIX))
OPEN = prompt_of(
    [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": PREFIX}], is_open=True
)


def ask(server: Server, *asked: Request) -> dict[str, Completion]:
    return draw(list(asked), server, endpoint="chat")


def asked_with_prefix(server: Server) -> list[Body]:
    return [body for body in server.asked if body["messages"][0]["content"] == QUESTION]


def test_a_request_is_the_users_turn_and_its_answer_is_read(serve: Serve) -> None:
    server = serve(lambda _: chat_answer("It is 4."))
    [drawn] = ask(server, *requests(1)).values()
    assert server.asked == [
        {
            "model": "owner/model",
            "messages": [{"role": "user", "content": "p"}],
            "seed": 0,
            "temperature": 0.7,
            "top_p": 1.0,
            "max_tokens": 5,
        }
    ]
    assert server.paths == ["/v1/chat/completions"]
    assert drawn == Completion("r0", "It is 4.", "stop", 7, 0, 3, drawn.seconds)


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "2 + 2.\n"},
        {"reasoning": "2 + 2."},
        {"reasoning_content": None, "reasoning": "2 + 2."},
        {"reasoning": None, "content": "\n\nIt is 4.", "reasoning_content": "2 + 2."},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "2 + 2."}]},
                {"type": "text", "text": "It is 4."},
            ]
        },
    ],
)
def test_a_thought_that_a_server_returns_apart_stays_apart(serve: Serve, message: Body) -> None:
    [drawn] = ask(serve(lambda _: chat_answer("It is 4.", **message)), *requests(1)).values()
    assert drawn.text == "<think>\n2 + 2.\n</think>\n\nIt is 4."


def test_a_thought_without_a_summary_stays_open(serve: Serve) -> None:
    [drawn] = ask(serve(chat_server.thinking), *requests(1)).values()
    assert drawn.text == "<think>\nLet me count.\n"


def test_an_answer_without_text_is_empty_and_a_refusal_is_recorded(serve: Serve) -> None:
    [empty] = ask(serve(lambda _: chat_answer("", content=None)), *requests(1)).values()
    assert (empty.text, empty.finish_reason) == ("", "stop")
    refusing = serve(lambda _: chat_answer("", content=None, refusal="I cannot."))
    [refused] = ask(refusing, *requests(1)).values()
    assert (refused.finish_reason, refused.text) == ("error", "")


CONTINUING = [
    (chat_server.vllm, {"continue_final_message": True, "add_generation_prompt": False}, {}),
    (chat_server.deepseek, {}, {"prefix": True}),
    (chat_server.mistral, {}, {"prefix": True}),
    (chat_server.llama_cpp, {"continue_final_message": True, "add_generation_prompt": False}, {}),
]


@pytest.mark.parametrize(("manner", "fields", "in_turn"), CONTINUING)
def test_a_server_is_asked_to_continue_in_the_way_that_it_understands(
    serve: Serve, manner: chat_server.Manner, fields: Body, in_turn: Body
) -> None:
    server = serve(manner)
    rollouts = [ROLLOUT._replace(id=str(index), seed=index) for index in range(6)]
    completions = ask(server, *rollouts)
    # It wrote the newline that the prefix ends with once more, or a space in its place.
    assert {one.text for one in completions.values()} == {written(OPEN, 6)[1:]}
    bodies = asked_with_prefix(server)
    assert len(bodies) == 6
    turn = {"role": "assistant", "content": PREFIX.rstrip(), **in_turn}
    assert all(body["messages"][1] == turn for body in bodies)
    assert all(fields.items() <= body.items() for body in bodies)
    # It was tried once: at most one question, and each way of continuing.
    assert len(server.asked) - 6 <= 1 + len(continuation.CONTINUATIONS)


def test_a_server_that_continues_a_last_turn_unasked_is_sent_no_fields_that_it_refuses(
    serve: Serve,
) -> None:
    def strict(body: Body) -> chat_server.Answer:
        turn = body["messages"][-1]
        unknown = "continue_final_message" in body or "prefix" in turn
        return chat_server.BAD if unknown else chat_server.llama_cpp(body)

    server = serve(strict)
    [drawn] = ask(server, ROLLOUT).values()
    assert drawn.text == written(OPEN, 6)[1:]
    [body] = asked_with_prefix(server)
    assert "continue_final_message" not in body


@pytest.mark.parametrize(
    "manner",
    [
        chat_server.ignoring,
        chat_server.open_ai,
        chat_server.restarting,
        chat_server.carrying_on,
        chat_server.repeating,
    ],
)
def test_a_server_that_begins_anew_draws_no_rollouts(
    serve: Serve, manner: chat_server.Manner
) -> None:
    server = serve(manner)
    with pytest.raises(ValueError, match=r"draws no rollouts.*engine\.openai\.endpoint") as caught:
        ask(server, ROLLOUT)
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)
    assert not asked_with_prefix(server), "no rollout is drawn where nobody knows from what"
    # Solutions need no continuation.
    assert ask(server, *requests(2)).keys() == {"r0", "r1"}


def test_thoughts_are_not_continued_by_chat(serve: Serve) -> None:
    with pytest.raises(ValueError, match="its model thinks first"):
        ask(serve(chat_server.thinking), ROLLOUT)
    prefix = "<think>\nAdd them.\n\n"
    inside = Request("x", QUESTION + prefix, 1, 0.7, 6, prefix_length=len(prefix))
    server = serve(chat_server.vllm)
    with pytest.raises(ValueError, match="a prefix holds a thought"):
        ask(server, inside)
    assert not server.asked


def test_a_server_in_trouble_is_tried_again_before_it_is_judged(serve: Serve) -> None:
    tries: list[Body] = []

    def recovering(body: Body) -> chat_server.Answer:
        tries.append(body)
        return (503, {}, b"loading") if len(tries) in (1, 3) else chat_server.deepseek(body)

    [drawn] = ask(serve(recovering), ROLLOUT).values()
    assert drawn.text == written(OPEN, 6)[1:]


def test_each_server_of_a_list_is_asked_in_its_own_way(serve: Serve) -> None:
    servers = serve(chat_server.deepseek, seconds=0.01), serve(chat_server.vllm, seconds=0.01)
    rollouts = [ROLLOUT._replace(id=str(index), seed=index) for index in range(24)]
    completions = draw(rollouts, *servers, endpoint="chat")
    assert {one.text for one in completions.values()} == {written(OPEN, 6)[1:]}
    assert all(asked_with_prefix(server) for server in servers)


def test_a_server_that_wants_the_new_name_of_the_limit_gets_it(serve: Serve) -> None:
    def renamed(body: Body) -> chat_server.Answer:
        if "max_tokens" in body:
            error = {"message": "Use 'max_completion_tokens' instead.", "param": "max_tokens"}
            content = {"error": {**error, "code": "unsupported_parameter"}}
            return 400, {}, json.dumps(content).encode()
        return chat_answer("4")

    server = serve(renamed)
    completions = ask(server, *requests(9))
    assert {one.text for one in completions.values()} == {"4"}
    assert sum("max_tokens" in body for body in server.asked) <= 4, "those of the first moment"


def test_a_value_that_no_request_may_have_ends_the_run(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = {"message": "'temperature' does not support 0.7", "code": "unsupported_value"}
    server = serve(lambda _: (400, {}, json.dumps({"error": error}).encode()))
    with pytest.raises(ValueError, match=r"'temperature' does not support 0\.7"):
        ask(server, *requests(1))
    with pytest.raises(ValueError, match="no rollouts: it does not answer a question at temp"):
        ask(server, ROLLOUT)


def test_the_template_of_a_chat_server_is_the_users_turn() -> None:
    servers = OpenAISettings(base_urls=("http://host/v1",), endpoint="chat")
    engine = EngineSettings(kind="openai", openai=servers)
    # No tokenizer is read: the name is known to the server alone.
    model = completion_model_of("judge", ModelSettings(base="gpt", template="chat"), "gpt", engine)
    assert model.template == "{question}"
    written_out = ModelSettings(base="gpt", template="Solve: {question}\nBe brief.")
    assert completion_model_of("judge", written_out, "gpt", engine).template == written_out.template


def test_a_profile_that_rolls_out_thoughts_by_chat_is_refused() -> None:
    def settings(endpoint: str, annotator: str) -> Settings:
        servers = {"base_urls": ["http://host/v1"], "endpoint": endpoint}
        words = {"source": "word_problems", "splitting": {"method": "reasoning"}}
        return Settings.model_validate(
            {
                "datasets": {"words": words},
                "generators": {"generator": {"base": "thinker"}},
                "completer": {"base": "thinker"},
                "engine": {"kind": "openai", "openai": servers},
                "annotation": {"annotators": [annotator], "train_on": annotator},
            }
        )

    with pytest.raises(ValueError, match=r"datasets\.words\.splitting.*no thought.*endpoint"):
        settings("chat", "monte_carlo")
    assert settings("chat", "rule").engine.speaks_chat
    assert not settings("completions", "monte_carlo").engine.speaks_chat


def test_draws_of_the_endpoints_are_told_apart() -> None:
    def identity(**fields: Any) -> object:
        servers = OpenAISettings(base_urls=("http://host/v1",), **fields)
        return engine_fingerprint(EngineSettings(kind="openai", openai=servers), "gpt")

    # Draws of earlier versions, which knew one endpoint, are not drawn again.
    assert identity() == {"weights": "gpt", "engine": "openai"}
    assert identity(endpoint="chat") == {"weights": "gpt", "engine": "openai", "endpoint": "chat"}
