"""Keep tokenizers from closing a prompt: some put an end token behind every text."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBE = "1"
"""A text that every tokenizer can encode."""


def leave_prompts_open(tokenizer: "PreTrainedTokenizerBase", model: Path | str) -> None:
    """Change a tokenizer so that it puts no token behind a text; those before it stay.

    A model would continue behind the end token, and a reward model would read it before the
    steps. The change is saved with the tokenizer.

    Raises:
        ValueError: it puts a token behind each text and has no post-processor to change.
    """
    from tokenizers import processors

    content = tokenizer.encode(PROBE, add_special_tokens=False)
    whole = tokenizer.encode(PROBE)
    start = _find(whole, content)
    if start is None:
        return
    lead = whole[:start]
    wanted = [*lead, *content]
    if whole == wanted:
        return
    if getattr(tokenizer, "add_eos_token", False):
        tokenizer.add_eos_token = False
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if tokenizer.encode(PROBE) != wanted and backend is not None:
        pieces = tokenizer.convert_ids_to_tokens(lead)
        backend.post_processor = processors.TemplateProcessing(
            single=[*pieces, "$A"],
            special_tokens=list(dict(zip(pieces, lead, strict=True)).items()),
        )
    if tokenizer.encode(PROBE) != wanted:
        raise ValueError(
            f"{model}: its tokenizer puts {tokenizer.decode(whole[len(wanted) :])!r} behind every "
            "prompt: set add_eos_token to false in its tokenizer_config.json"
        )


def _find(whole: list[int], content: list[int]) -> int | None:
    """Return where ``content`` begins in ``whole``; None where it is empty or does not occur."""
    starts = range(len(whole) - len(content) + 1 if content else 0)
    return next((i for i in starts if whole[i : i + len(content)] == content), None)
