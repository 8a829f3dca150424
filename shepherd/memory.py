"""Bytes that a model takes on each GPU, in inference and in training, from its dimensions alone.

What is exact and tested against real tensors: parameters, the states of training, keys and
values, and what a layer saves for its backward pass. What is assumed: ``OVERHEAD``, the buffers of
a sharded layer's gathering, and vLLM's step.
"""

from dataclasses import dataclass

from shepherd.architectures import Architecture
from shepherd.settings import TOKENS_PER_PASS, TrainingSettings

GIB = 2**30
OVERHEAD = 2 * GIB
"""Of CUDA's context, communication buffers and fragments of memory: assumed."""

USABLE = 0.95
"""Share of a GPU's memory that training may fill."""

STEP_TOKENS = 16_384
"""Prompt tokens that vLLM takes into one step on a GPU of 70 GiB and more, where it may choose."""

SCORED_TOKENS = 8_192
"""Tokens that training.scoring takes into one step, at most."""

HALF, SINGLE = 2, 4
"""Bytes of a number in bfloat16 or float16, and in float32."""

LOGIT = 2 * HALF + 3 * SINGLE
"""Bytes of a logit in training: in bfloat16, in float32, as a log-probability, and the gradients
of the first two. A bound: they are computed where a token or label is to be predicted."""


@dataclass(frozen=True)
class InferenceMemory:
    """Bytes on each GPU; ``cache_per_token`` is of one token's keys and values."""

    weights: int
    activations: int
    cache_per_token: int

    @property
    def fixed(self) -> int:
        """All but the cache, and what the device takes for itself."""
        return self.weights + self.activations + OVERHEAD

    def tokens_in(self, gpu_bytes: float, utilization: float) -> int:
        """Return how many tokens' keys and values fit beside the rest; 0 if the rest does not."""
        room = gpu_bytes * utilization - self.fixed
        return max(0, int(room // self.cache_per_token))


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on each GPU, at the peak of a step.

    ``states`` are parameters, gradients and Adam's moments, ``working`` what computing in bfloat16
    takes beside them, ``activations`` those of one pass, its logits among them.
    """

    states: int
    working: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, and what the device takes for itself."""
        return self.states + self.working + self.activations + OVERHEAD

    def fits(self, gpu_bytes: float) -> bool:
        """Return whether a GPU has room for it."""
        return self.total <= USABLE * gpu_bytes


def can_split(architecture: Architecture, num_gpus: int) -> bool:
    """Return whether tensor parallelism cuts a model into that many equal parts."""
    heads = architecture.num_key_value_heads
    return (
        architecture.num_attention_heads % num_gpus == 0
        and architecture.intermediate_size % num_gpus == 0
        and (heads % num_gpus == 0 or num_gpus % heads == 0)
    )


def inference_memory(
    architecture: Architecture, num_gpus: int, *, step_tokens: int = STEP_TOKENS
) -> InferenceMemory:
    """Return what drawing takes in 16-bit numbers, with tensor parallelism over ``num_gpus``.

    Matrices are cut, norms are not. With more GPUs than key-value heads, several GPUs hold the
    same head. The activations of a step are the residual stream, a norm's output and attention's
    (four of the hidden size) and the MLP's gate, its other input and their product.
    """
    hidden, layers = architecture.hidden_size, architecture.num_hidden_layers
    heads = max(1, architecture.num_key_value_heads // num_gpus)
    shared = architecture.num_parameters - architecture.norm_parameters
    # A head that several GPUs hold counts on each of them.
    held = heads * num_gpus // architecture.num_key_value_heads
    shared += (held - 1) * layers * 2 * hidden * architecture.key_value_size
    widths = 4 * hidden + 3 * architecture.intermediate_size // num_gpus
    return InferenceMemory(
        weights=HALF * (shared // num_gpus + architecture.norm_parameters),
        activations=HALF * step_tokens * widths,
        cache_per_token=HALF * 2 * layers * heads * architecture.head_size,
    )


def scoring_bytes(architecture: Architecture, *, step_tokens: int = SCORED_TOKENS) -> int:
    """Return what scoring takes on the one GPU that it uses, logits of all tokens among it."""
    logits = (HALF + SINGLE) * architecture.vocab_size
    return inference_memory(architecture, 1, step_tokens=step_tokens).fixed + step_tokens * logits


def training_memory(architecture: Architecture, settings: TrainingSettings) -> TrainingMemory:
    """Return what AdamW takes in mixed precision on each of ``settings.num_processes`` GPUs.

    Each parameter takes 16 bytes: itself, its gradient and two moments in float32. A GPU that
    holds the whole model holds bfloat16 copies of it beside that, and one of several the buffers
    through which gradients are shared. Where the model is sharded, each GPU gathers the
    embeddings and two layers (one computes while the next one comes), and a layer's gradient.

    A checkpointed layer saves its input alone; one at a time is computed again.
    """
    parameters = architecture.num_parameters
    tokens = settings.tokens_per_pass or TOKENS_PER_PASS["cuda"]
    sharing = settings.num_processes if settings.sharded else 1
    if settings.sharded:
        layers = 3 * architecture.layer_parameters
        working = HALF * (layers + 2 * architecture.embedding_parameters)
    else:
        working = (HALF + SINGLE * (settings.num_processes > 1)) * parameters
    kept = layer = layer_bytes(architecture, mixed=True)
    if settings.gradient_checkpointing:
        kept = SINGLE * architecture.hidden_size
    per_token = architecture.num_hidden_layers * kept + LOGIT * architecture.vocab_size
    again = layer if settings.gradient_checkpointing else 0
    return TrainingMemory(
        states=4 * SINGLE * -(-parameters // sharing),
        working=working,
        activations=tokens * (per_token + again),
    )


def layer_bytes(architecture: Architecture, *, mixed: bool) -> int:
    """Return the bytes that a layer saves for its backward pass, per token.

    Both norms save their input and what they make of it before the gain, and the inverse of its
    root mean square; attention its input, queries, keys, values, output and each head's
    normaliser; the MLP its input, gate, activated gate, other input and product. As of PyTorch's
    own attention without a mask, no product of queries and keys is kept. Attention takes packed
    examples apart and puts them together again, and saves both forms of queries, keys, values and
    output; the padding of one of them, where lengths differ, is not counted.

    With ``mixed`` (bfloat16 under autocast) the residual stream stays float32 and every matrix
    saves a bfloat16 copy of its own of what it is given.
    """
    hidden, heads = architecture.hidden_size, architecture.num_attention_heads
    size, copies = (HALF, 5) if mixed else (SINGLE, 2)
    norms = SINGLE * (4 * hidden + 2)
    keys = architecture.key_value_size
    attention = size * 2 * (hidden + keys) + SINGLE * heads
    packing = SINGLE * (hidden + keys) + size * (keys + hidden)
    mlp = size * 4 * architecture.intermediate_size
    return norms + attention + packing + mlp + size * copies * hidden
