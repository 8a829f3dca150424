"""Servers of ``/v1/chat/completions`` that continue a turn in their own way, or not at all."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Turns = list[dict[str, Any]]
Manner = Callable[[dict[str, Any]], Answer]
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BAD: Answer = (400, {}, b'{"error": {"message": "Unrecognized request argument supplied"}}')


def written(prompt: str, count: int) -> str:
    """Return ``count`` words that a greedy model writes behind a prompt; each depends on it all."""
    text = ""
    for _ in range(count):
        digest = hashlib.sha256((prompt + text).encode()).digest()
        gap = "" if not text and prompt.endswith("\n") else "\n" if digest[1] % 5 == 0 else " "
        text += gap + WORDS[digest[0] % len(WORDS)]
    return text


def prompt_of(turns: Turns, *, is_open: bool) -> str:
    """Return turns in a chat template, with the last one open or all closed."""
    chat = "".join(f"<{turn['role']}>\n{str(turn['content']).strip()}</s>\n" for turn in turns)
    return chat.removesuffix("</s>\n") if is_open else f"{chat}<assistant>\n"


def chat_answer(text: str, **message: Any) -> Answer:
    choice = {"message": {"role": "assistant", "content": text} | message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": len(text.split())}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


def vllm(body: dict[str, Any]) -> Answer:
    if body.get("continue_final_message") and body.get("add_generation_prompt", True):
        return BAD
    return _continued(body, is_open=body.get("continue_final_message", False))


def deepseek(body: dict[str, Any]) -> Answer:
    return _continued(body, is_open=body["messages"][-1].get("prefix", False))


def mistral(body: dict[str, Any]) -> Answer:
    last = body["messages"][-1]
    if "continue_final_message" in body:
        return 422, {}, b"extra inputs are not permitted"
    if last["role"] == "assistant" and not last.get("prefix"):
        return 400, {}, b"the last message must be of the user, or have prefix"
    echo = last["content"] if last.get("prefix") else ""
    return _continued(body, is_open=last.get("prefix", False), echo=echo)


def llama_cpp(body: dict[str, Any]) -> Answer:
    return _continued(body, is_open=body["messages"][-1]["role"] == "assistant")


def ignoring(body: dict[str, Any]) -> Answer:
    return _continued(body, is_open=False)


def open_ai(body: dict[str, Any]) -> Answer:
    if "continue_final_message" in body or "prefix" in body["messages"][-1]:
        return BAD
    return ignoring(body)


def restarting(body: dict[str, Any]) -> Answer:
    """Write the same answer from its beginning, whatever is there already."""
    return ignoring(body | {"messages": body["messages"][:1]})


def carrying_on(body: dict[str, Any]) -> Answer:
    """Begin a new turn that goes on where the last one ended, as capable models do."""
    prompt = prompt_of(body["messages"], is_open=len(body["messages"]) > 1)
    return chat_answer(written(prompt, body["max_tokens"]).strip())


def repeating(_: dict[str, Any]) -> Answer:
    """Say one word, which every continuation also begins with."""
    return chat_answer("again" + " again" * 30)


def thinking(_: dict[str, Any]) -> Answer:
    return chat_answer("", reasoning="Let me count.", content=None)


def _continued(body: dict[str, Any], *, is_open: bool, echo: str = "") -> Answer:
    prompt = prompt_of(body["messages"], is_open=is_open)
    return chat_answer(echo + written(prompt, body["max_tokens"]))
