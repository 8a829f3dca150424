"""Memory of a model on each GPU, in inference and in training, from its dimensions.

Exact, and tested against real tensors: parameters, training states, keys and values, and the
activations that a layer saves for its backward pass. Measured on a GPU by
``python -m benchmarks.gpu``: the peak of a training step. Assumed: ``OVERHEAD``, the buffers that
gather a sharded layer, and the size of vLLM's step.
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

SMALL_BYTES = 64 * 2**20
"""Weights of a small model at most. On a CPU each core computes with one by itself: its products
are too short for several threads, and it may be in memory several times."""

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
    buffers, ``activations`` those of one pass, including its logits. ``late`` are the gradients
    that do not exist yet while the activations are most: all, in a step of one pass.
    """

    states: int
    working: int
    activations: int
    late: int = 0

    @property
    def tensors(self) -> int:
        """Bytes of all tensors at the peak of a step."""
        return self.states + self.working + max(0, self.activations - self.late)

    @property
    def total(self) -> int:
        """Bytes of all tensors, and the device's overhead."""
        return self.tensors + OVERHEAD

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


def training_memory(
    architecture: Architecture, settings: TrainingSettings, *, predicts_text: bool = True
) -> TrainingMemory:
    """Return the memory of AdamW in mixed precision on each of ``settings.num_processes`` GPUs.

    - Each parameter takes 16 bytes: itself, its gradient and two moments in float32.
    - A GPU with the whole model also holds the bfloat16 weights that it computes with and, among
      several GPUs, bfloat16 gradients and the buffers of their all-reduce.
    - A GPU of a sharded model gathers the embeddings, two layers (one computes while the next
      arrives) and the gradient of a layer.
    - A checkpointed layer saves only its input. One layer at a time is computed again.
    - The activations are most at the start of the backward pass: all that is saved, and either
      the logits or what the last layer's MLP computes (its product and three gradients).

    Args:
        architecture: the model's dimensions.
        settings: how many GPUs and tokens.
        predicts_text: whether logits are computed at every token, as for fine-tuning. A reward
            model without ``lm_weight`` computes them at its tags only, which count as none.
    """
    parameters, processes = architecture.num_parameters, settings.num_processes
    in_a_step = -(-settings.batch_size // processes) * settings.max_length
    in_a_pass = settings.tokens_per_pass or TOKENS_PER_PASS["cuda"]
    if settings.sharded:
        layers = 3 * architecture.layer_parameters
        working = HALF * (layers + 2 * architecture.embedding_parameters)
    else:
        working = HALF * (3 if processes > 1 else 1) * parameters
    is_one_pass = in_a_step <= in_a_pass and processes == 1
    saved, last = layer_bytes(architecture), 0
    if settings.gradient_checkpointing:
        saved, last = HALF * architecture.hidden_size, saved
    mlp = HALF * (4 * architecture.intermediate_size + architecture.hidden_size)
    logits = LOGIT * architecture.vocab_size * predicts_text
    per_token = architecture.num_hidden_layers * saved + max(last + mlp, logits)
    return TrainingMemory(
        states=4 * SINGLE * -(-parameters // (processes if settings.sharded else 1)),
        working=working,
        activations=min(in_a_step, in_a_pass) * per_token,
        late=SINGLE * parameters * is_one_pass,
    )


def layer_bytes(architecture: Architecture) -> int:
    """Return the bytes that a layer saves for its backward pass, per token, in bfloat16.

    :mod:`training.fused_layers` saves

    - the residual row before attention and before the MLP;
    - queries, keys, values, the output of attention and the normaliser of each head in float32;
    - the two inputs of the MLP's product.
    """
    hidden, keys = architecture.hidden_size, architecture.key_value_size
    attention = HALF * 2 * (hidden + keys) + SINGLE * architecture.num_attention_heads
    return HALF * 2 * hidden + attention + HALF * 2 * architecture.intermediate_size
