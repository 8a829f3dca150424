"""Find out how a chat server continues the assistant's turn, by a question to its model.

No field of an answer says whether a server has continued a turn or begun a new one, and servers
ignore fields that they do not know. So the model answers a question greedily, and is then asked
to continue the first part of its own answer: a server that continues returns the rest of it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from resources.engines.manners import CONTINUATIONS, Continuation
from resources.engines.server_answers import Trouble, UnsupportedError
from shepherd.requests import Completion, Request
from shepherd.thoughts import has_thought

QUESTIONS = (
    "Write the numbers from one to thirty in words, in order.",
    "Tell in three sentences what the letters of the alphabet are used for.",
    "A farmer has 12 cows and buys 7 more. How many cows are there now? Explain each step.",
)
WHOLE_TOKENS = 48
"""Tokens of a whole answer. About two thirds of it are given back."""

REST_TOKENS = 8
"""Tokens of a continuation: fewer than were given back, so that an answer that begins anew does not
reach beyond them."""

FEWEST_CHARACTERS = 4
"""Characters of a continuation that can be compared with the rest."""

Ask = Callable[[Request, Continuation | None], Awaitable[Completion | Trouble]]
"""Draws a request on the server, once, with a way to continue its prefix."""


async def find_continuation(ask: Ask) -> Continuation | Trouble:
    """Return the first way in which the server continues a turn, or why it cannot be known yet.

    Raises:
        ValueError: it begins a new answer whichever way it is asked, or its model thinks first.
    """
    reasons: list[str] = []
    for number, question in enumerate(QUESTIONS):
        try:
            whole = await ask(_request(question, "", WHOLE_TOKENS), None)
        except UnsupportedError as error:
            raise _refusal(f"it does not answer a question at temperature 0 ({error})") from error
        if isinstance(whole, Trouble):
            return whole
        if has_thought(whole.text):
            raise _refusal("its model thinks first, and no server continues a thought")
        head, rest = _halves(whole.text)
        if not rest:
            reasons.append(f"question {number + 1} has no answer of two parts")
            continue
        for way in CONTINUATIONS:
            drawn = await ask(_request(question, head, REST_TOKENS), way)
            if isinstance(drawn, Trouble):
                return drawn
            found = _as_continued(drawn.text, head, rest)
            if found is not None:
                return replace(way, echoes=found)
    tried = ", ".join(way.name for way in CONTINUATIONS)
    raise _refusal(f"asked to continue its own answer, it begins another (tried {tried})")


def _request(question: str, head: str, max_tokens: int) -> Request:
    return Request("continuation", question + head, 0, 0.0, max_tokens, prefix_length=len(head))


def _halves(text: str) -> tuple[str, str]:
    """Cut an answer before white space, at about two thirds; the second part is empty if short.

    Tokens begin with their white space, so that the model reads the first part in the tokens that
    it wrote. An answer that is one phrase over and over proves nothing: it has no second part.
    """
    spaces = [
        place
        for place in range(1, len(text))
        if text[place].isspace() and text[place - 1].isalnum()
    ]
    spaces = [place for place in spaces if len(text[place:].strip()) >= FEWEST_CHARACTERS]
    if not spaces:
        return text, ""
    cut = min(spaces, key=lambda place: abs(3 * place - 2 * len(text)))
    head, rest = text[:cut], text[cut:]
    return (
        (text, "") if head.lstrip().startswith(rest.strip()[:FEWEST_CHARACTERS]) else (head, rest)
    )


def _as_continued(text: str, head: str, rest: str) -> bool | None:
    """Return whether a text repeats the head before the rest; None if it does not go on so."""
    for echoes, drawn in ((False, text), (True, text.removeprefix(head))):
        # The last character may be cut inside its bytes.
        whole = drawn.rstrip("\ufffd")
        is_long = len(whole.strip()) >= FEWEST_CHARACTERS
        if is_long and (rest.startswith(whole) or whole.startswith(rest)):
            return echoes
    return None


def _refusal(reason: str) -> ValueError:
    return ValueError(
        f"the server draws no rollouts: {reason}: name servers that speak /completions "
        "(engine.openai.endpoint: completions)"
    )
