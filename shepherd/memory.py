"""Bytes that a model takes on each GPU, in inference and in training, from its dimensions alone.

What is exact and tested against real tensors: parameters, the states of training, keys and
values, and what a layer saves for its backward pass. What is assumed: ``OVERHEAD``, the buffers of
a sharded layer's gathering, and vLLM's step.
"""

from dataclasses import dataclass

from shepherd.architectures import Architecture

GIB = 2**30
OVERHEAD = 2 * GIB
"""Of CUDA's context, communication buffers and fragments of memory: assumed."""

USABLE = 0.95
"""Share of a GPU's memory that training may fill."""

STEP_TOKENS = 16_384
"""Prompt tokens that vLLM takes into one step on a GPU of 70 GiB and more, where it may choose."""

HALF, SINGLE = 2, 4
"""Bytes of a number in bfloat16 or float16, and in float32."""


@dataclass(frozen=True)
class InferenceMemory:
    """Bytes on each GPU; ``cache_per_token`` is of one token's keys and values."""

    weights: int
    activations: int
    cache_per_token: int

    def tokens_in(self, gpu_bytes: float, utilization: float) -> int:
        """Return how many tokens' keys and values fit beside the rest; 0 if the rest does not."""
        room = gpu_bytes * utilization - self.weights - self.activations - OVERHEAD
        return max(0, int(room // self.cache_per_token))


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on each GPU, at the peak of a step.

    ``states`` are parameters, gradients and Adam's moments, ``working`` what computing in bfloat16
    takes beside them, ``sequence`` the activations and logits of one sequence, ``recomputed`` those
    of the one layer at a time that checkpointing computes again.
    """

    states: int
    working: int
    sequence: int
    recomputed: int

    def sequences_in(self, gpu_bytes: float) -> int:
        """Return how many sequences one forward and backward pass can take; 0 if none."""
        room = gpu_bytes * USABLE - self.states - self.working - OVERHEAD
        return max(0, int(room // (self.sequence + self.recomputed)))


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


def training_memory(
    architecture: Architecture, num_gpus: int, *, length: int, checkpointing: bool = False
) -> TrainingMemory:
    """Return what AdamW takes in mixed precision, fully sharded over ``num_gpus``.

    Each parameter takes 16 bytes: itself, its gradient and two moments in float32. One GPU holds
    bfloat16 copies of all matrices beside that; of several, each gathers the embeddings and two
    layers (one computes while the next one comes) and a layer's gradient before it is shared.
    """
    parameters, layers = architecture.num_parameters, architecture.num_hidden_layers
    if num_gpus == 1:
        working = HALF * parameters
    else:
        gathered = 3 * architecture.layer_parameters + 2 * architecture.embedding_parameters
        working = HALF * gathered
    layer = length * layer_bytes(architecture, length, mixed=True)
    kept = length * SINGLE * architecture.hidden_size if checkpointing else layer
    return TrainingMemory(
        states=4 * SINGLE * -(-parameters // num_gpus),
        working=working,
        sequence=layers * kept + length * logits_bytes(architecture),
        recomputed=layer if checkpointing else 0,
    )


def layer_bytes(architecture: Architecture, length: int, *, mixed: bool) -> int:
    """Return the bytes that a layer saves for its backward pass, per token.

    Both norms save their input and what they make of it before the gain, and the inverse of its
    root mean square; attention its input, queries, keys and values (repeated for all query heads),
    output, each head's normaliser and the row of the mask; the MLP its input, gate, activated
    gate, other input and product.

    With ``mixed`` (bfloat16 under autocast) the residual stream stays float32 and every matrix
    saves a bfloat16 copy of its own of what it is given.
    """
    hidden, heads = architecture.hidden_size, architecture.num_attention_heads
    size, copies = (HALF, 5) if mixed else (SINGLE, 2)
    norms = SINGLE * (4 * hidden + 2)
    attention = size * (4 * hidden + length) + SINGLE * heads
    mlp = size * 4 * architecture.intermediate_size
    return norms + attention + mlp + size * copies * hidden


def logits_bytes(architecture: Architecture) -> int:
    """Return a bound of the bytes of a token's logits: in bfloat16, float32, as log-probabilities.

    Gradients of all but the last count too.
    """
    return (2 * HALF + 3 * SINGLE) * architecture.vocab_size
