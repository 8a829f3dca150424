"""The words by which servers say why a completion ended.

OpenAI's own are ``stop``, ``length`` and ``content_filter``. The others are those of Text
Generation Inference, SGLang, TensorRT-LLM, llama.cpp, Mistral, Together, Cohere, DeepSeek, Gemini
and Anthropic, in their own APIs and in proxies that pass them on.
"""

from typing import Literal

Ending = Literal["stop", "stop_string", "end_token", "length", "filtered", "unfinished", "unsaid"]
"""``stop``: a stop string or an end token; ``unfinished``: the server broke off."""

WORDS: dict[Ending, set[str]] = {
    "stop": {"stop", "stopped", "complete", "completed", "finished"},
    "stop_string": {"stop_sequence", "stop_string", "stop_word", "stop_words"},
    "end_token": {"eos", "eos_token", "eos_token_id", "end_of_text", "end_turn", "end_id"},
    "length": {
        "length",
        "max_tokens",
        "max_length",
        "max_new_tokens",
        "max_output_tokens",
        "token_limit",
        "limit",
        "model_length",
        "model_context_window_exceeded",
    },
    "filtered": {
        "content_filter",
        "content_filtered",
        "safety",
        "recitation",
        "refusal",
        "blocklist",
        "prohibited_content",
        "error_toxic",
    },
    "unfinished": {
        "abort",
        "aborted",
        "cancel",
        "cancelled",
        "canceled",
        "error",
        "insufficient_system_resource",
        "preempted",
        "timeout",
    },
    "unsaid": {"", "none", "null"},
}
_ENDINGS: dict[str, Ending] = {word: ending for ending, words in WORDS.items() for word in words}


def ending_of(word: object) -> Ending | None:
    """Return what a server's finish reason means; None if it is unknown."""
    if word is None:
        return "unsaid"
    if not isinstance(word, str):
        return None
    return _ENDINGS.get(word.strip().lower().replace("-", "_").replace(" ", "_"))
