"""Read from a chat template how it writes a conversation of questions and short answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import TemplateError

from shepherd.prompts import CLOCK, TIMES, ChatTokenizer

_MARKS = tuple(f"TURN{number}a7f3" for number in range(6))
"""Stand in a chat for the turns until their places are found."""


@dataclass(frozen=True)
class ChatTurns:
    """The text around the turns of a conversation."""

    head: str
    """Before the first turn of the user."""
    answering: str
    """Between a turn of the user and the answer to it."""
    asking: str
    """Between an answer and the next turn of the user."""


def chat_turns(tokenizer: ChatTokenizer) -> ChatTurns:
    """Return the text that a chat template writes around turns.

    Raises:
        ValueError: there is no chat template, it fails, moves or changes texts, writes later turns
            in another way, or gives another text at another time.
    """
    roles = ("user", "assistant") * (len(_MARKS) // 2)
    turns = [{"role": role, "content": mark} for role, mark in zip(roles, _MARKS, strict=True)]
    chat = stable_chat(tokenizer, turns)
    pieces = []
    for mark in _MARKS:
        before, found, chat = chat.partition(mark)
        pieces.append(before if found else None)
    head, answering, *others = pieces
    asking = others[0] if others else None
    is_regular = others == [asking, answering] * (len(others) // 2)
    if head is None or answering is None or asking is None or not is_regular:
        raise ValueError(
            f"{tokenizer.name_or_path}: its chat template does not write all turns alike and in "
            "order, so that steps cannot be its turns: correct chat_template in its "
            "tokenizer_config.json"
        )
    return ChatTurns(head, answering, asking)


def stable_chat(tokenizer: ChatTokenizer, turns: Sequence[dict[str, str]]) -> str:
    """Return a conversation in the tokenizer's own format.

    Raises:
        ValueError: there is no chat template, it fails, or it gives another text at another time.
    """
    name = tokenizer.name_or_path
    if not tokenizer.chat_template:
        raise ValueError(f"{name}: has no chat template: download its tokenizer again")
    first, *others = (_chat_at(tokenizer, turns, time) for time in TIMES)
    if any(other != first for other in others):
        raise ValueError(
            f"{name}: its chat template writes the date or something random, so that every score "
            "would change: write a fixed date into chat_template in its tokenizer_config.json"
        )
    return first


def _chat_at(tokenizer: ChatTokenizer, turns: Sequence[dict[str, str]], now: datetime) -> str:
    variables: dict[str, Callable[[str], str]] = {}
    if CLOCK in str(tokenizer.chat_template):
        variables[CLOCK] = now.strftime
    try:
        return str(
            tokenizer.apply_chat_template(
                turns, tokenize=False, continue_final_message=False, **variables
            )
        )
    except (TemplateError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(
            f"{tokenizer.name_or_path}: its chat template fails ({error}): download its tokenizer "
            "again"
        ) from error
