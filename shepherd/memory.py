"""Memory of a model on each GPU, in inference and in training, from its dimensions.

Exact, and tested against real tensors: parameters, training states, keys and values, and the
activations that a layer saves for its backward pass. Assumed: ``OVERHEAD``, the buffers that gather
a sharded layer, and the size of vLLM's step.
"""

from dataclasses import dataclass

from shepherd.architectures import Architecture
from shepherd.settings import TOKENS_PER_PASS, TrainingSettings

GIB = 2**30
OVERHEAD = 2 * GIB
"""Bytes of CUDA's context, communication buffers and fragmentation: assumed."""

USABLE = 0.95
"""Share of a GPU's memory that training may fill."""

STEP_TOKENS = 16_384
"""Prompt tokens of one step of vLLM, by its default on GPUs of 70 GiB and more."""

SCORED_TOKENS = 8_192
"""Tokens of one step of training.scoring, at most."""

HALF, SINGLE = 2, 4
"""Bytes of a number in bfloat16 or float16, and in float32."""

LOGIT = 2 * HALF + 3 * SINGLE
"""Bytes of a logit in training: bfloat16, float32, log-probability, and the gradients of the first
two. This is an upper bound, as logits are computed only where a token or label is predicted."""


@dataclass(frozen=True)
class InferenceMemory:
    """Bytes on each GPU; ``cache_per_token`` is the size of one token's keys and values."""

    weights: int
    activations: int
    cache_per_token: int

    @property
    def fixed(self) -> int:
        """Bytes of everything but the cache, including the device's overhead."""
        return self.weights + self.activations + OVERHEAD

    def tokens_in(self, gpu_bytes: float, utilization: float) -> int:
        """Return the number of tokens whose keys and values fit beside the rest, at least 0."""
        room = gpu_bytes * utilization - self.fixed
        return max(0, int(room // self.cache_per_token))


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on each GPU, at the peak of a step.

    ``states`` are parameters, gradients and Adam's moments, ``working`` the bfloat16 copies and
    buffers, ``activations`` those of one pass, including its logits.
    """

    states: int
    working: int
    activations: int

    @property
    def total(self) -> int:
        """The sum, including the device's overhead."""
        return self.states + self.working + self.activations + OVERHEAD

    def fits(self, gpu_bytes: float) -> bool:
        """Return whether it fits on a GPU."""
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
    """Return the memory of inference in 16 bits, with tensor parallelism over ``num_gpus``.

    Matrices are cut, norms are not. With more GPUs than key-value heads, several GPUs hold the
    same head. The activations of a step are four of the hidden size (residual stream, output of a
    norm, attention) and three of the MLP (gate, other input, their product).
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
    """Return the bytes of scoring on one GPU, including the logits of all tokens."""
    logits = (HALF + SINGLE) * architecture.vocab_size
    return inference_memory(architecture, 1, step_tokens=step_tokens).fixed + step_tokens * logits


def training_memory(architecture: Architecture, settings: TrainingSettings) -> TrainingMemory:
    """Return the memory of AdamW in mixed precision on each of ``settings.num_processes`` GPUs.

    - Each parameter takes 16 bytes: itself, its gradient and two moments in float32. - A GPU with
    the whole model also holds bfloat16 copies of it and, among several GPUs, the buffers
      of the gradients' all-reduce.
    - A GPU of a sharded model gathers the embeddings, two layers (one computes while the next
      arrives) and the gradient of a layer.
    - A checkpointed layer saves only its input. One layer at a time is computed again.
    """
    parameters = architecture.num_parameters
    tokens = settings.tokens_per_pass or TOKENS_PER_PASS["cuda"]
    sharing = settings.num_processes if settings.sharded else 1
    if settings.sharded:
        layers = 3 * architecture.layer_parameters
        working = HALF * (layers + 2 * architecture.embedding_parameters)
    else:
        working = (HALF + SINGLE * (settings.num_processes > 1)) * parameters
    saved = layer = layer_bytes(architecture, mixed=True)
    if settings.gradient_checkpointing:
        saved = SINGLE * architecture.hidden_size
    per_token = architecture.num_hidden_layers * saved + LOGIT * architecture.vocab_size
    again = layer if settings.gradient_checkpointing else 0
    return TrainingMemory(
        states=4 * SINGLE * -(-parameters // sharing),
        working=working,
        activations=tokens * (per_token + again),
    )


def layer_bytes(architecture: Architecture, *, mixed: bool) -> int:
    """Return the bytes that a layer saves for its backward pass, per token.

    - Each of the two norms saves its input, the normalised input and the inverse root mean square.
    - Attention saves its input, queries, keys, values, output and the normaliser of each head.
      PyTorch's attention without a mask saves no product of queries and keys. Packed examples are
      unpacked and packed again, so queries, keys, values and output are saved twice; padding
      between examples of different lengths is not counted.
    - The MLP saves its input, gate, activated gate, other input and product.

    With ``mixed`` (bfloat16 under autocast) the residual stream stays float32, and every matrix
    saves a bfloat16 copy of its input.
    """
    hidden, heads = architecture.hidden_size, architecture.num_attention_heads
    size, copies = (HALF, 5) if mixed else (SINGLE, 2)
    norms = SINGLE * (4 * hidden + 2)
    keys = architecture.key_value_size
    attention = size * 2 * (hidden + keys) + SINGLE * heads
    packing = SINGLE * (hidden + keys) + size * (keys + hidden)
    mlp = size * 4 * architecture.intermediate_size
    return norms + attention + packing + mlp + size * copies * hidden
