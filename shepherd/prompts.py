"""Prompts: the question in a model's own format, and the text that the model is to continue."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Protocol

from jinja2 import TemplateError
from pydantic import AfterValidator, Field

from shepherd.thoughts import opening_of

CHAT = "chat"
THINKING = "thinking"
OF_MODEL = (CHAT, THINKING)
"""The templates that are read from the model's tokenizer."""

TEMPLATES = {
    "plain": "{question}\n",
    # The prompt that MetaMATH (arXiv 2309.12284) trains and evaluates with.
    "metamath": (
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{question}\n\n### Response: Let's think step by step."
    ),
    "few_shot": (
        "Question: A bakery sells muffins in boxes of 6. Ana buys 4 boxes and gives 5 muffins to "
        "her neighbours. How many muffins does she have left?\n"
        "Solution:\n"
        "Ana buys 4 * 6 = 24 muffins.\n"
        "She has 24 - 5 = 19 muffins left.\n"
        "The answer is: 19\n\n"
        "Question: A train ticket costs $12 for adults and half as much for children. What do 2 "
        "adults and 3 children pay?\n"
        "Solution:\n"
        "A child pays 12 / 2 = $6.\n"
        "The adults pay 2 * 12 = $24.\n"
        "The children pay 3 * 6 = $18.\n"
        "Together they pay 24 + 18 = $42.\n"
        "The answer is: 42\n\n"
        "Question: Omar reads 15 pages a day. His book has 180 pages, and he has read 60 of them. "
        "In how many days does he finish it?\n"
        "Solution:\n"
        "There are 180 - 60 = 120 pages left.\n"
        "He needs 120 / 15 = 8 days.\n"
        "The answer is: 8\n\n"
        "Question: A shop sells a coat of $80 with 25% off. Lena also pays $7 for a scarf. How "
        "much does she pay in all?\n"
        "Solution:\n"
        "The discount is 80 * 25 / 100 = $20.\n"
        "The coat costs 80 - 20 = $60.\n"
        "In all she pays 60 + 7 = $67.\n"
        "The answer is: 67\n\n"
        "Question: {question}\n"
        "Solution:\n"
    ),
}
"""Texts by name. ``few_shot`` shows a base model short solutions, a step on each line; give such a
model the stop string that begins the next question (``\\nQuestion:``)."""
_QUESTION = "{question}"
_MARKS = ("QUESTION7f3a", "SOLUTION7f3a")
"""Stand in a chat for the question and the solution until their places are found."""

CLOCK = "strftime_now"
"""The function by which a chat template reads the clock (transformers defines it)."""

TIMES = (datetime(2001, 2, 3, 4, 5, 6), datetime(2019, 8, 27, 18, 39, 40))
"""Times that differ in every part: a template that reads the clock shows them differently."""


def check_template(template: str) -> None:
    """Check that a template is a known name, one of the model, or a text with ``{question}``.

    Raises:
        ValueError: it is none of these; the message lists the known ones.
    """
    if template not in OF_MODEL and template not in TEMPLATES and _QUESTION not in template:
        known = ", ".join(sorted([*OF_MODEL, *TEMPLATES]))
        raise ValueError(
            f"template {template!r} is unknown: set a model's template to {known}, or to a text "
            "that holds {question}"
        )


def _known_template(template: str) -> str:
    check_template(template)
    return template


PromptTemplate = Annotated[
    str,
    AfterValidator(_known_template),
    Field(
        description="prompt: `plain`, `metamath`, `few_shot` (four questions with short "
        "solutions), `chat` (the model's own chat template), `thinking` (the same, opened as a "
        "reasoning model opens an answer), or a text that holds `{question}`"
    ),
]
"""The type of a settings field that holds a template: an unknown name is an error."""


class ChatTokenizer(Protocol):
    """What a chat template is read from: the attributes of a tokenizer of transformers."""

    name_or_path: str
    chat_template: object
    bos_token: str | None
    bos_token_id: int | None

    def __call__(self, text: str) -> Mapping[str, Sequence[int]]:
        """Return the token ids of a text as ``input_ids``."""

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, str]],
        *,
        tokenize: bool,
        **variables: object,
    ) -> object:
        """Return the conversation in the model's own format."""


def open_template(template: str, tokenizer: ChatTokenizer) -> str:
    """Return the template that ``build_prompt`` takes: that of the tokenizer's model, by name.

    The question is the user's turn and the solution the beginning of the assistant's, which stays
    open. With ``thinking`` it is opened as for a new answer: many templates of reasoning models
    open a thought there, and close it in turns that are written already.

    Raises:
        ValueError: the tokenizer has no chat template, or one that fails, moves the texts, or gives
            another text at another time.
    """
    if template not in OF_MODEL:
        return template
    name = tokenizer.name_or_path
    if not tokenizer.chat_template:
        known = ", ".join(sorted(TEMPLATES))
        raise ValueError(f"{name}: has no chat template: set the model's template to {known}")
    is_new = template == THINKING
    opened = _opened_chat(tokenizer, datetime.now(), is_new=is_new)
    if any(_opened_chat(tokenizer, time, is_new=is_new) != opened for time in TIMES):
        # A JSON string is a YAML string.
        text = json.dumps(opened, ensure_ascii=False)
        raise ValueError(
            f"{name}: its chat template writes the date or something random, so that every prompt "
            f"would change: set the model's template to the text of today: {text}"
        )
    return opened


def user_turn(template: str) -> str:
    """Return the template of the user's turn, where a server puts turns into a chat template.

    ``chat`` and ``thinking`` are the question alone.
    """
    return _QUESTION if template in OF_MODEL else template


def _opened_chat(tokenizer: ChatTokenizer, now: datetime, *, is_new: bool) -> str:
    """Return the chat up to the solution, with ``{question}`` in the place of the question.

    ``is_new``: up to where a model begins a new answer.
    """
    question, solution = _MARKS
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": solution}]
    variables: dict[str, object] = {"continue_final_message": True}
    if is_new:
        turns, solution = turns[:1], ""
        variables = {"add_generation_prompt": True}
    if CLOCK in str(tokenizer.chat_template):
        variables[CLOCK] = now.strftime
    try:
        chat = str(tokenizer.apply_chat_template(turns, tokenize=False, **variables))
    except (TemplateError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(
            f"{tokenizer.name_or_path}: its chat template fails ({error}): set the model's "
            "template to a text that holds {question}"
        ) from error
    if chat.count(question) != 1 or not chat.endswith(solution):
        raise ValueError(
            f"{tokenizer.name_or_path}: its chat template does not show question and answer once "
            "each, in order: set the model's template to a text that holds {question}"
        )
    # Where the answer follows a space, models write the space: tokens begin with theirs.
    opened = chat.removesuffix(solution).rstrip(" ").replace(question, _QUESTION)
    # Most templates begin with the token that tokenizers put before any text.
    if tokenizer.bos_token and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        opened = opened.removeprefix(tokenizer.bos_token)
    return opened


def build_prompt(template: str, question: str, prefix: str = "") -> str:
    """Return the prompt for a solution of ``question`` that begins with exactly ``prefix``.

    A thought that both the template and the prefix open is opened once.

    ``template`` is a name of ``TEMPLATES``, or a text with ``{question}`` in the question's place.

    Raises:
        ValueError: no such template; the message lists the known ones.
    """
    check_template(template)
    assert template not in OF_MODEL, "open_template turns the name of a template into its text"
    text = TEMPLATES.get(template, template)
    opening = opening_of(text)
    if prefix and prefix.startswith(opening):
        text = text.removesuffix(opening)
    return text.replace(_QUESTION, question) + prefix
