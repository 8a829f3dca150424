"""The tokens of a text that continues a prompt."""

from transformers import PreTrainedTokenizerBase


def continuation(
    tokenizer: PreTrainedTokenizerBase, prompt: str, text: str
) -> tuple[list[int], list[int], list[int]]:
    """Return the tokens of prompt and text, and the character that each of the text's begins with.

    The text is read behind its prompt. SentencePiece's tokenizers begin any text with a space of
    their own: read alone, it would begin with a token that no model draws there.
    """
    prompt_ids: list[int] = tokenizer.encode(prompt)
    whole = tokenizer(prompt + text, return_offsets_mapping=True)
    first = len(prompt_ids)
    if whole["input_ids"][:first] == prompt_ids:
        starts = [start - len(prompt) for start, _ in whole["offset_mapping"][first:]]
        return prompt_ids, whole["input_ids"][first:], starts
    # A token holds the prompt's end and the text's beginning, which a model draws apart.
    alone = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return prompt_ids, alone["input_ids"], [start for start, _ in alone["offset_mapping"]]
