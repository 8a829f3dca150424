"""The dimensions of the paper's models, and the parameters that follow from them.

All have Llama's design: RMSNorm, rotary positions, gated MLP, no biases, a separate output layer.
They differ in grouped key-value heads and sliding windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Architecture:
    """A decoder of Llama's design; the fields are those of a checkpoint's config.json."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool = False

    @classmethod
    def of(cls, config: Mapping[str, object]) -> "Architecture | None":
        """Read a config.json; None if the model has another design."""
        if config.get("model_type") not in MODEL_TYPES:
            return None
        values = {**_DEFAULTS, "num_key_value_heads": config.get("num_attention_heads"), **config}
        return cls(**{field.name: values[field.name] for field in fields(cls)})  # type: ignore[arg-type]

    @property
    def head_size(self) -> int:
        """Size of a head's query, key or value."""
        return self.hidden_size // self.num_attention_heads

    @property
    def key_value_size(self) -> int:
        """Size of a token's keys of one layer, which is also that of its values."""
        return self.num_key_value_heads * self.head_size

    @property
    def norm_parameters(self) -> int:
        """Parameters of all norms: two a layer and the last."""
        return (2 * self.num_hidden_layers + 1) * self.hidden_size

    @property
    def layer_parameters(self) -> int:
        """Parameters of the matrices of one layer: queries and output, keys and values, MLP."""
        hidden = self.hidden_size
        attention = 2 * hidden * hidden + 2 * hidden * self.key_value_size
        return attention + 3 * hidden * self.intermediate_size

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the token embeddings and of the output layer, one matrix where tied."""
        return (1 if self.tie_word_embeddings else 2) * self.vocab_size * self.hidden_size

    @property
    def num_parameters(self) -> int:
        """All parameters."""
        layers = self.num_hidden_layers * self.layer_parameters
        return layers + self.embedding_parameters + self.norm_parameters


MODEL_TYPES = ("llama", "mistral")
_DEFAULTS = {"tie_word_embeddings": False}

_LLAMA_7B = (4096, 32, 32, 32, 11008)
ARCHITECTURES = {
    # arXiv 2307.09288, and the config.json of each checkpoint.
    "meta-llama/Llama-2-7b-hf": Architecture(*_LLAMA_7B, vocab_size=32000),
    "meta-llama/Llama-2-13b-hf": Architecture(5120, 40, 40, 40, 13824, vocab_size=32000),
    "meta-llama/Llama-2-70b-hf": Architecture(8192, 80, 64, 8, 28672, vocab_size=32000),
    # arXiv 2310.10631: Code Llama 7B and 34B, trained on.
    "EleutherAI/llemma_7b": Architecture(*_LLAMA_7B, vocab_size=32016),
    "EleutherAI/llemma_34b": Architecture(8192, 48, 64, 8, 22016, vocab_size=32000),
    # arXiv 2310.06825.
    "mistralai/Mistral-7B-v0.1": Architecture(4096, 32, 32, 8, 14336, vocab_size=32000),
    # arXiv 2401.02954.
    "deepseek-ai/deepseek-llm-67b-base": Architecture(8192, 95, 64, 8, 22016, vocab_size=102400),
}
"""The paper's models by their names on the hub."""

FINE_TUNED = {
    "meta-math/MetaMath-Mistral-7B": "mistralai/Mistral-7B-v0.1",
    "meta-math/MetaMath-Llemma-7B": "EleutherAI/llemma_7b",
}
"""Models that others have fine-tuned, and what they started from: a token more at most."""


def published_architecture(name: str) -> Architecture | None:
    """Return the dimensions of a model of the shipped profiles by its name on the hub."""
    return ARCHITECTURES.get(FINE_TUNED.get(name, name))
