"""Encode a text that continues a prompt."""

from transformers import PreTrainedTokenizerBase


def require_end_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that the tokenizer has the token that ends a solution.

    Raises:
        ValueError: it names none.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"{tokenizer.name_or_path}: the tokenizer names no end token, so that a model could "
            "not learn where a solution ends: set eos_token in its tokenizer_config.json"
        )


def encode_continuation(
    tokenizer: PreTrainedTokenizerBase, prompt: str, text: str
) -> tuple[list[int], list[int], list[int]]:
    """Encode prompt and text so that the text has the tokens that a model would draw.

    The text is encoded behind its prompt. SentencePiece tokenizers put a space of their own
    before any text: encoded alone, the text would begin with a token that no model draws there.

    Returns:
        The token ids of the prompt, those of the text, and the index of the character of the text
        at which each of its tokens begins.
    """
    prompt_ids: list[int] = tokenizer.encode(prompt)
    whole = tokenizer(prompt + text, return_offsets_mapping=True)
    first = len(prompt_ids)
    if whole["input_ids"][:first] == prompt_ids:
        starts = [start - len(prompt) for start, _ in whole["offset_mapping"][first:]]
        return prompt_ids, whole["input_ids"][first:], starts
    # One token spans the end of the prompt and the start of the text. A model draws the text's
    # own tokens instead.
    alone = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return prompt_ids, alone["input_ids"], [start for start, _ in alone["offset_mapping"]]
