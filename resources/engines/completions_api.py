"""Write requests to an OpenAI-compatible ``/completions`` and take its answers apart."""

from typing import ClassVar, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, Field

from resources.engines.manners import Manners
from resources.engines.server_answers import Drawn, Usage, sampling_fields
from shepherd.requests import Request


class StopReason(BaseModel):
    """What servers say beside ``finish_reason``, if they say it."""

    # The first is vLLM's name, the second SGLang's.
    stop_reason: object = Field(None, validation_alias=AliasChoices("stop_reason", "matched_stop"))

    @property
    def names_stop(self) -> bool:
        """Whether the server says what ended the text."""
        return "stop_reason" in self.model_fields_set


ChoiceT = TypeVar("ChoiceT", bound=StopReason)


class ServerAnswer(BaseModel, Generic[ChoiceT]):
    """An answer with one completion, in the form of its endpoint."""

    choices: list[ChoiceT] = Field(min_length=1, max_length=1)
    usage: Usage | None = None


class _Choice(StopReason):
    text: str
    finish_reason: object = None


class CompletionsApi:
    """The endpoint that continues the text of a prompt."""

    path: ClassVar[str] = "/completions"
    has_turns: ClassVar[bool] = False

    def body(self, model: str, request: Request, manners: Manners) -> dict[str, object]:  # noqa: ARG002
        """Return the JSON object that asks for a request's completion."""
        fields = sampling_fields(model, request)
        return {**fields, "prompt": request.prompt, "max_tokens": request.max_tokens}

    def drawn(self, request: Request, content: object, manners: Manners) -> Drawn:  # noqa: ARG002
        """Return the completion of an answer's JSON value.

        Raises:
            ValidationError: the value is something else than one completion.
        """
        answer = ServerAnswer[_Choice].model_validate(content)
        [choice] = answer.choices
        return Drawn(
            choice.text,
            choice.finish_reason,
            choice.stop_reason,
            choice.names_stop,
            answer.usage or Usage(),
        )
