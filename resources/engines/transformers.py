"""The embedded engine: continuous batching over any dense decoder-only transformers model."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from shepherd.requests import Completion, Request

PREFILL_TOKENS = 8192
"""Padded prompt tokens in one prefill; bounds its activations."""

SLOT_MULTIPLE = 32
"""Attention reads a multiple of that many slots: odd lengths leave vector units idle."""

ATTENTION = "one_query_per_row"
"""The name under which transformers finds ``attend_rows``."""

TAIL_TOKENS = 16
"""Prompt tokens decoded before a continuation, so that its first token keeps its space."""


@dataclass
class _Prompt:
    """A distinct prompt, its waiting requests and, once prefilled, its keys and values.

    ``states`` is (2, layers, heads, tokens - 1, head size): the last prompt token is fed with the
    decode steps, which gives every rollout its own first logits.
    """

    text: str
    waiting: deque[Request] = field(default_factory=deque)
    ids: list[int] = field(default_factory=list)
    tail: str = ""
    states: torch.Tensor | None = None


@dataclass
class _Row:
    """A request in the batch. ``started`` is the engine's clock at its admission."""

    request: Request
    prompt: _Prompt
    cached_tokens: int
    started: float
    ids: list[int] = field(default_factory=list)


class TransformersEngine:
    """Draws completions with a Hugging Face causal language model, on the CPU or one GPU.

    Requests with one prompt share its prefill. A completion depends on its request alone, not
    on what runs beside it, up to the rounding of ``dtype``.

    Raises:
        ValueError: neither the checkpoint nor its tokenizer names a stop token.
    """

    def __init__(
        self,
        model_path: Path | str,
        *,
        batch_size: int = 512,
        dtype: str = "bfloat16",
        device: str = "auto",
    ) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.capacity = batch_size
        self._device = torch.device(device)
        self._tokenizer = AutoTokenizer.from_pretrained(model_path)
        self._model = AutoModelForCausalLM.from_pretrained(
            model_path,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            attn_implementation=ATTENTION,
        )
        self._model.to(self._device).eval()
        self._window = _window(self._model.config)
        self._stop_ids = _stop_ids(self._model, self._tokenizer)
        self._cache = _RowCache(self._model, batch_size)
        self._queue: dict[str, _Prompt] = {}
        self._rows: list[_Row] = []
        # Per row: the next token to feed and its position, and what sampling needs.
        self._token = np.zeros(batch_size, np.int64)
        self._position = np.zeros(batch_size, np.int64)
        self._num_prompt = np.zeros(batch_size, np.int64)
        self._limit = np.zeros(batch_size, np.int64)
        self._seed = np.zeros(batch_size, np.uint64)
        self._temperature = np.zeros(batch_size, np.float32)
        # Seconds of work per running row, summed: a row's share is the difference over its life.
        self._clock = 0.0
        self._marked = 0.0

    def add(self, requests: Iterable[Request]) -> None:
        for request in requests:
            self._queue.setdefault(request.prompt, _Prompt(request.prompt)).waiting.append(request)

    @torch.inference_mode()
    def poll(self) -> list[Completion]:
        self._marked = time.perf_counter()
        finished: list[Completion] = []
        while not finished and (self._queue or self._rows):
            free = self.capacity - len(self._rows)
            # Prefill is efficient in batches only, so a few free rows wait for more.
            if self._queue and (not self._rows or free >= max(1, self.capacity // 8)):
                finished += self._admit(free)
            if self._rows:
                finished += self._step()
        return finished

    def close(self) -> None:
        self._queue.clear()
        self._rows.clear()
        del self._model, self._cache

    def _tick(self) -> None:
        """Charge the time since the last tick to the rows that run now."""
        now = time.perf_counter()
        self._clock += (now - self._marked) / max(1, len(self._rows))
        self._marked = now

    def _admit(self, free: int) -> list[Completion]:
        """Move waiting requests into free rows; return those that cannot run."""
        chosen: list[tuple[_Prompt, list[Request]]] = []
        for prompt in self._queue.values():
            taken = list(islice(prompt.waiting, free))
            chosen.append((prompt, taken))
            free -= len(taken)
            if not free:
                break
        fresh = [prompt for prompt, _ in chosen if not prompt.ids]
        self._prefill(fresh)
        first_of = {id(prompt) for prompt in fresh}
        errors: list[Completion] = []
        for prompt, requests in chosen:
            for _ in requests:
                prompt.waiting.popleft()
            if not prompt.waiting:
                del self._queue[prompt.text]
            num_prompt = len(prompt.ids)
            if not 0 < num_prompt < self._window:
                errors += [self._refusal(request, num_prompt) for request in requests]
                continue
            first, last = len(self._rows), len(self._rows) + len(requests)
            for request in requests:
                i = len(self._rows)
                cached = 0 if id(prompt) in first_of and i == first else num_prompt - 1
                self._rows.append(_Row(request, prompt, cached, self._clock))
                self._seed[i] = request.seed
                self._temperature[i] = request.temperature
                self._limit[i] = min(request.max_tokens, self._window - num_prompt)
            self._token[first:last] = prompt.ids[-1]
            self._position[first:last] = num_prompt - 1
            self._num_prompt[first:last] = num_prompt
            self._cache.reserve(num_prompt + int(self._limit[first:last].max()))
            if prompt.states is not None:
                self._cache.load(first, last, prompt.states)
        return errors

    def _refusal(self, request: Request, num_prompt: int) -> Completion:
        reason = (
            f"the prompt has {num_prompt} tokens: the model needs at least 1 and, with a window "
            f"of {self._window}, takes at most {self._window - 1}"
        )
        return Completion(request.id, "", "error", num_prompt, 0, 0, 0.0, reason)

    def _prefill(self, prompts: list[_Prompt]) -> None:
        """Tokenize prompts and compute the keys and values of all their tokens but the last."""
        if not prompts:
            return
        encoded = self._tokenizer([prompt.text for prompt in prompts])["input_ids"]
        for prompt, ids in zip(prompts, encoded, strict=True):
            prompt.ids = ids
            prompt.tail = self._decode(ids[-TAIL_TOKENS:])
        fitting = [prompt for prompt in prompts if 1 < len(prompt.ids) < self._window]
        fitting.sort(key=lambda prompt: len(prompt.ids), reverse=True)
        while fitting:
            length = len(fitting[0].ids) - 1
            size = max(1, PREFILL_TOKENS // length)
            batch, fitting = fitting[:size], fitting[size:]
            # Padding stands on the right, where causal attention never looks.
            padded = torch.zeros((len(batch), length), dtype=torch.int64)
            for row, prompt in zip(padded, batch, strict=True):
                row[: len(prompt.ids) - 1] = torch.tensor(prompt.ids[:-1])
            cache = DynamicCache()
            self._model(
                input_ids=padded.to(self._device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            keys = torch.stack([layer.keys for layer in cache.layers])
            values = torch.stack([layer.values for layer in cache.layers])
            states = torch.stack([keys, values])
            for i, prompt in enumerate(batch):
                prompt.states = states[:, :, i, :, : len(prompt.ids) - 1]

    def _step(self) -> list[Completion]:
        """Draw one token for every row; return the completions that end with it."""
        n = len(self._rows)
        position = self._position[:n]
        positions = torch.from_numpy(position).to(self._device)
        length = self._cache.feed(positions, int(position.max()) + 1)
        visible = torch.arange(length, device=self._device) <= positions[:, None]
        mask = torch.zeros(visible.shape, dtype=self._cache.states.dtype, device=self._device)
        mask.masked_fill_(~visible, -torch.inf)
        logits = self._model(
            input_ids=torch.from_numpy(self._token[:n, None]).to(self._device),
            position_ids=positions[:, None],
            attention_mask=mask[:, None, None],
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        drawn = position + 1 - self._num_prompt[:n]
        uniform = uniform_numbers(self._seed[:n], drawn)
        token = draw_tokens(logits, self._temperature[:n], uniform).cpu().numpy()
        for row, chosen in zip(self._rows, token.tolist(), strict=True):
            row.ids.append(chosen)
        self._token[:n] = token
        position += 1
        stopped = np.isin(token, self._stop_ids)
        ended = np.flatnonzero(stopped | (drawn + 1 >= self._limit[:n]))
        texts = [self._text(self._rows[i], bool(stopped[i])) for i in ended]
        self._tick()
        finished = [
            Completion(
                request_id=row.request.id,
                text=text,
                finish_reason="stop" if stopped[i] else "length",
                prompt_tokens=len(row.prompt.ids),
                cached_tokens=row.cached_tokens,
                num_tokens=len(row.ids),
                seconds=self._clock - row.started,
            )
            for i, text in zip(ended, texts, strict=True)
            for row in [self._rows[i]]
        ]
        self._remove(ended)
        return finished

    def _remove(self, ended: NDArray[np.int64]) -> None:
        """Take rows out of the batch; the last rows move into the gaps."""
        n = len(self._rows)
        kept = n - len(ended)
        gaps = ended[ended < kept]
        movers = np.setdiff1d(np.arange(kept, n), ended)
        for gap, mover in zip(gaps, movers, strict=True):
            self._rows[gap] = self._rows[mover]
        del self._rows[kept:]
        for column in (
            self._token,
            self._position,
            self._num_prompt,
            self._limit,
            self._seed,
            self._temperature,
        ):
            column[gaps] = column[movers]
        self._cache.move(movers, gaps)

    def _text(self, row: _Row, stopped: bool) -> str:
        continuation = row.ids[:-1] if stopped else row.ids
        joined = self._decode(row.prompt.ids[-TAIL_TOKENS:] + continuation)
        return joined[len(row.prompt.tail) :]

    def _decode(self, ids: list[int]) -> str:
        return str(
            self._tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


class _RowCache:
    """Keys and values of all rows, (2, layers, rows, heads, head size, slots), written in place.

    Slots come last, which halves the time of attention's products on a CPU.

    Passed to the model as its cache: ``update`` puts each row's new token at the row's own
    position and returns the slots of the rows in use.
    """

    def __init__(self, model: Any, batch_size: int) -> None:
        config = model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (2, config.num_hidden_layers, batch_size, heads, size, 0)
        parameter = next(model.parameters())
        self.states = torch.empty(shape, dtype=parameter.dtype, device=parameter.device)
        self._positions = torch.empty(0, dtype=torch.int64)
        self._rows = torch.empty(0, dtype=torch.int64)
        self._length = 0

    def reserve(self, slots: int) -> None:
        """Make room for that many tokens in every row."""
        missing = _rounded(slots) - self.states.shape[-1]
        if missing > 0:
            self.states = F.pad(self.states, (0, missing))

    def load(self, first: int, last: int, states: torch.Tensor) -> None:
        """Write a prompt's states, (2, layers, heads, tokens, head size), into rows."""
        tokens = states.shape[3]
        self.states[:, :, first:last, :, :, :tokens] = states.transpose(3, 4)[:, :, None]

    def move(self, source: NDArray[np.int64], to: NDArray[np.int64]) -> None:
        """Copy rows over others."""
        if len(to):
            self.states[:, :, to] = self.states[:, :, source]

    def feed(self, positions: torch.Tensor, length: int) -> int:
        """Set the position of each row's next token; return how many slots attention reads.

        ``length`` is the largest position plus one.
        """
        self._positions = positions
        self._rows = torch.arange(len(positions), device=positions.device)
        self._length = _rounded(length)
        return self._length

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        all_keys, all_values = self.states[0, layer], self.states[1, layer]
        all_keys[self._rows, :, :, self._positions] = keys[:, :, 0]
        all_values[self._rows, :, :, self._positions] = values[:, :, 0]
        n = len(self._rows)
        return all_keys[:n, ..., : self._length], all_values[:n, ..., : self._length]

    def get_seq_length(self) -> int:
        return self._length - 1


def _rounded(slots: int) -> int:
    return -(-slots // SLOT_MULTIPLE) * SLOT_MULTIPLE


def attend_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend with one query a row to ``_RowCache``; without a mask (prefill) as transformers does.

    The query heads that share a key-value head are the rows of one small product, so that
    neither keys nor values are copied. Returns (rows, 1, heads, head size) and no weights.
    """
    if attention_mask is None:
        prefilled: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, None, scaling=scaling, **options
        )
        return prefilled
    rows, heads, _, size = query.shape
    groups = rows * key.shape[1]
    hidden = attention_mask.expand(rows, key.shape[1], 1, -1).reshape(groups, 1, -1)
    folded = query.reshape(groups, heads // key.shape[1], size)
    scores = torch.baddbmm(hidden, folded, key.flatten(0, 1), alpha=scaling)
    attended = torch.bmm(scores.softmax(-1), value.flatten(0, 1).transpose(1, 2))
    return attended.view(rows, 1, heads, size), None


AttentionInterface.register(ATTENTION, attend_rows)


def uniform_numbers(seeds: NDArray[np.uint64], counters: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return numbers in [0, 1), float32, each a function of its seed and counter alone.

    SplitMix64 (Steele et al., 2014) over a state mixed from the two; 24 bits, which float32
    holds exactly.
    """
    with np.errstate(over="ignore"):
        bits = _mix(_mix(seeds) + counters.astype(np.uint64)) >> np.uint64(40)
    return bits.astype(np.float32) * np.float32(2.0**-24)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def draw_tokens(
    logits: torch.Tensor, temperatures: NDArray[np.float32], uniform: NDArray[np.float32]
) -> torch.Tensor:
    """Return one token a row of (rows, vocabulary) logits by the inverse of its distribution.

    Temperature 0 takes the likeliest token.
    """
    greedy = temperatures == 0
    if greedy.all():
        return logits.argmax(-1)
    scale = torch.from_numpy(np.where(greedy, 1, temperatures)).to(logits.device)
    cumulative = (logits.float() / scale[:, None]).softmax(-1).cumsum(-1)
    target = torch.from_numpy(uniform).to(logits.device)[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, target, right=True)[:, 0]
    if greedy.any():
        chosen = torch.from_numpy(greedy).to(logits.device)
        drawn = torch.where(chosen, logits.argmax(-1), drawn)
    return drawn


def _window(config: Any) -> int:
    """Return the most tokens of prompt and completion together.

    Within a sliding window attention is full attention, which is all this engine computes.
    """
    window = int(config.max_position_embeddings)
    sliding = getattr(config, "sliding_window", None)
    return min(window, int(sliding)) if sliding else window


def _stop_ids(model: Any, tokenizer: Any) -> list[int]:
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
