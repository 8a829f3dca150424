"""Write requests to an OpenAI-compatible ``/chat/completions`` and take its answers apart.

The server puts the turns into its model's chat template. Templates trim turns, and some servers
refuse white space at the end of one. So the beginning of an answer is sent without the white space
at its end, and white space that a continuation begins with is removed up to that.
"""

from typing import ClassVar

from pydantic import BaseModel

from resources.engines.completions_api import ServerAnswer, StopReason
from resources.engines.manners import Manners
from resources.engines.server_answers import Drawn, Usage, sampling_fields
from shepherd.requests import Request
from shepherd.thoughts import with_thought


class _Part(BaseModel):
    """A part of a message: Mistral sends thoughts as parts of their own."""

    type: str = "text"
    text: str = ""
    thinking: str | list["_Part"] = ""

    def said(self) -> str:
        if isinstance(self.thinking, str):
            return self.thinking or self.text
        return "".join(part.said() for part in self.thinking) or self.text


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    # DeepSeek, SGLang and llama.cpp write the first, vLLM and OpenRouter the second.
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None

    def thought(self) -> str:
        parts = self.content if isinstance(self.content, list) else []
        in_parts = "".join(part.said() for part in parts if part.type == "thinking")
        return self.reasoning_content or self.reasoning or in_parts

    def summary(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.said() for part in self.content if part.type != "thinking")
        return self.content or ""


class _Choice(StopReason):
    message: _Message
    finish_reason: object = None


class ChatApi:
    """The endpoint that answers the user's turn, or continues the assistant's."""

    path: ClassVar[str] = "/chat/completions"
    has_turns: ClassVar[bool] = True

    def body(self, model: str, request: Request, manners: Manners) -> dict[str, object]:
        """Return the JSON object that asks for a request's completion.

        A request with a prefix needs ``manners.continuation``.
        """
        turns: list[dict[str, object]] = [{"role": "user", "content": request.question}]
        fields = {**sampling_fields(model, request), manners.limit: request.max_tokens}
        if request.prefix_length:
            assert manners.continuation is not None, "servers are tried before they continue"
            turn = {"role": "assistant", "content": request.prefix.rstrip()}
            turns.append({**turn, **manners.continuation.message})
            fields |= manners.continuation.body
        return {**fields, "messages": turns}

    def drawn(self, request: Request, content: object, manners: Manners) -> Drawn:
        """Return the completion of an answer's JSON value; a thought in a field of its own is put
        before the summary, in ``<think>``.

        Raises:
            ValidationError: the value is something else than one completion.
        """
        answer = ServerAnswer[_Choice].model_validate(content)
        [choice] = answer.choices
        message = choice.message
        text = with_thought(message.thought(), _continuing(request, message.summary(), manners))
        return Drawn(
            text,
            choice.finish_reason,
            choice.stop_reason,
            choice.names_stop,
            answer.usage or Usage(),
            is_refusal=message.refusal is not None and not text,
        )


def _continuing(request: Request, text: str, manners: Manners) -> str:
    """Return the text that follows a request's prefix to the letter."""
    sent = request.prefix.rstrip()
    if sent and manners.continuation and manners.continuation.echoes:
        text = text.removeprefix(sent)
    gap = request.prefix[len(sent) :]
    if text.startswith(gap):
        return text[len(gap) :]
    return text.lstrip() if gap else text
