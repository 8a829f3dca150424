"""Decode drawn tokens behind their prompt, as the two local engines do."""

from collections.abc import Callable

TAIL_TOKENS = 16
"""Prompt tokens that are decoded with a completion, so that its first token keeps its space."""

REPLACEMENT = "\ufffd"
"""Stands for bytes that are no whole character: tokens may hold a part of one."""


def whole_characters(
    decode: Callable[[list[int]], str], prompt_ids: list[int], ids: list[int]
) -> str:
    """Return the text of drawn tokens without the last ones, if they end inside a character.

    So vLLM and tokenizers' ``DecodeStream`` put texts together token by token.
    """
    head = prompt_ids[-TAIL_TOKENS:]
    start = len(decode(head))
    text = decode(head + ids)[start:]
    while ids and text.endswith(REPLACEMENT):
        ids = ids[:-1]
        text = decode(head + ids)[start:]
    return text
