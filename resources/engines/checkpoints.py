"""Read what the local engines need of a checkpoint, with errors that a user can act on."""

from pathlib import Path
from typing import TYPE_CHECKING

from resources.checkpoints.loading import load_tokenizer
from resources.storage.model_store import HUB_NAME
from shepherd.prompts import OF_MODEL, open_template
from shepherd.requests import Completion, Request

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ATTENDING_LAYERS = {"full_attention", "sliding_attention"}


def load_template(template: str, model: Path | str) -> str:
    """Return the text of a prompt template; that of the model's tokenizer if it is named so.

    Raises:
        ValueError: it is named so, and the model has no tokenizer here or no usable chat template.
    """
    if template not in OF_MODEL:
        return template
    if not (Path(model).is_dir() or HUB_NAME.fullmatch(str(model))):
        raise ValueError(
            f"template {template}: {str(model)!r} is a name that only its server knows, so its "
            "chat template cannot be read here: set `template` beside that `base` to the text of "
            "its chat with {question}, set engine.openai.endpoint to chat, or serve the model "
            "under its hub name (owner/name)"
        )
    return open_template(template, load_tokenizer(model))


def without_drawing(request: Request, num_prompt: int, window: int) -> Completion | None:
    """Return the completion of a request that needs no drawing; null if it needs the model.

    The model needs a prompt of at least one token, and room for one more. ``window`` is the
    maximum number of tokens of prompt and completion together.
    """
    if not 0 < num_prompt < window:
        reason = (
            f"the prompt has {num_prompt} tokens: the model needs at least 1 and, with a window "
            f"of {window}, takes at most {window - 1}"
        )
        return Completion(request.id, "", "error", num_prompt, 0, 0, 0.0, reason)
    if request.max_tokens == 0:
        return Completion(request.id, "", "length", num_prompt, 0, 0, 0.0)
    return None


def check_attention(config: object, model: Path | str) -> None:
    """Check that every layer attends to all earlier tokens or to a sliding window, and no more.

    Raises:
        ValueError: a layer computes something else.
    """
    layers = set(getattr(config, "layer_types", None) or ())
    other = sorted(layers - ATTENDING_LAYERS)
    if getattr(config, "attn_logit_softcapping", None):
        other.append("attn_logit_softcapping")
    if other:
        raise ValueError(
            f"{model}: the transformers engine does not compute {', '.join(other)}: set "
            "engine.kind to vllm or openai"
        )


def stop_ids(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the ids of the tokens that end a completion.

    Raises:
        ValueError: neither the checkpoint nor its tokenizer names a stop token.
    """
    declared = model.generation_config.eos_token_id
    ids = set(declared if isinstance(declared, list) else [declared])
    ids.add(tokenizer.eos_token_id)
    ids.discard(None)
    if not ids:
        raise ValueError(
            f"{tokenizer.name_or_path}: no stop token is known: name eos_token_id in the "
            "checkpoint's generation_config.json or eos_token in its tokenizer_config.json"
        )
    return sorted(ids)
