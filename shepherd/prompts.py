"""Prompts: the question in a model's own format, and the text that the model is to continue."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

CHAT = "chat"
TEMPLATES = {
    "plain": "{question}\n",
    # The prompt that MetaMATH (arXiv 2309.12284) trains and evaluates with.
    "metamath": (
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{question}\n\n### Response: Let's think step by step."
    ),
}
_QUESTION = "{question}"
_MARKS = ("QUESTION7f3a", "SOLUTION7f3a")
"""Stand in a chat for the question and the solution until their places are found."""


def check_template(template: str) -> None:
    """Check that a template is a known name, ``chat``, or a text that holds ``{question}``.

    Raises:
        ValueError: it is none of these; the message lists the known ones.
    """
    if template != CHAT and template not in TEMPLATES and _QUESTION not in template:
        known = ", ".join(sorted([CHAT, *TEMPLATES]))
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
        description="prompt: `plain`, `metamath`, `chat` (the model's own chat template), or a "
        "text that holds `{question}`"
    ),
]
"""The type of a settings field that holds a template: an unknown name is an error."""


def open_template(template: str, tokenizer: Any) -> str:
    """Return the template that ``build_prompt`` takes: for ``chat`` that of the tokenizer's model.

    ``tokenizer`` is one of transformers'. The question is the user's turn and the solution the
    beginning of the assistant's, which stays open.

    Raises:
        ValueError: ``chat``, and the tokenizer has no chat template or one that moves the texts.
    """
    if template != CHAT:
        return template
    name = tokenizer.name_or_path
    if not tokenizer.chat_template:
        known = ", ".join(sorted(TEMPLATES))
        raise ValueError(f"{name}: has no chat template: set the model's template to {known}")
    question, solution = _MARKS
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": solution}]
    chat = str(tokenizer.apply_chat_template(turns, tokenize=False, continue_final_message=True))
    if chat.count(question) != 1 or not chat.endswith(solution):
        raise ValueError(
            f"{name}: its chat template does not show question and answer once each, in order: "
            "set the model's template to a text that holds {question}"
        )
    # Where the answer follows a space, models write the space: tokens begin with theirs.
    opened = chat.removesuffix(solution).rstrip(" ").replace(question, _QUESTION)
    # Most templates begin with the token that tokenizers put before any text.
    if tokenizer.bos_token and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        opened = opened.removeprefix(tokenizer.bos_token)
    return opened


def build_prompt(template: str, question: str, prefix: str = "") -> str:
    """Return the prompt for a solution of ``question`` that begins with exactly ``prefix``.

    ``template`` is a name of ``TEMPLATES``, or a text with ``{question}`` in the question's place.

    Raises:
        ValueError: no such template; the message lists the known ones.
    """
    check_template(template)
    assert template != CHAT, "open_template turns the name of the chat template into its text"
    return TEMPLATES.get(template, template).replace(_QUESTION, question) + prefix
