"""Draw completions in this process: continuous batching over dense decoder-only models."""

from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForCausalLM

from resources.checkpoints.loading import load, load_tokenizer, load_weights
from resources.engines.checkpoints import check_attention, stop_ids, without_drawing
from resources.engines.clock import SharedClock
from resources.engines.decode_steps import decode_step
from resources.engines.gpus import device_of
from resources.engines.int8_linear import check_int8, use_int8
from resources.engines.model_weights import free_weights, replace_weights
from resources.engines.new_weights import Weights
from resources.engines.prefill import BatchRow, Group, Prefill, Prompt
from resources.engines.row_attention import ATTENTION
from resources.engines.row_cache import RowCache
from resources.engines.texts import REPLACEMENT, TAIL_TOKENS
from resources.engines.thought_tokens import count_thought_tokens
from resources.engines.token_draws import draw_tokens, uniform_numbers
from shepherd.requests import Completion, Request, completion_block, request_rows


class TransformersEngine:
    """Draws completions with a Hugging Face causal language model, on the CPU or one GPU.

    Requests with one prompt share its prefill. Up to the rounding of ``dtype`` a completion
    depends on its request alone, not on the requests of the same batch.

    Raises:
        ValueError: there is no such checkpoint, it is damaged or not what its config says, it has
            layers other than plain attention, or neither it nor its tokenizer names a stop token.
    """

    def __init__(
        self,
        model_path: Path | str,
        *,
        batch_size: int = 512,
        dtype: str = "bfloat16",
        device: str = "auto",
    ) -> None:
        self.capacity = batch_size
        self._device = device_of(device)
        if dtype == "int8":
            check_int8(self._device)
        self._tokenizer = load_tokenizer(model_path)
        config = load(AutoConfig, model_path)
        check_attention(config, model_path)
        self._window = int(config.max_position_embeddings)
        self._model = load_weights(
            AutoModelForCausalLM,
            model_path,
            dtype=torch.float32 if dtype == "int8" else getattr(torch, dtype),
            attn_implementation=ATTENTION,
        )
        self._model.to(self._device).eval()
        if dtype == "int8":
            use_int8(self._model, model_path)
        self._stop_ids = stop_ids(self._model, self._tokenizer)
        self._forget_states()
        self._queue: dict[str, Prompt] = {}
        self._rows: list[BatchRow] = []
        # By row: the next token to feed, the number of drawn tokens, and what sampling reads.
        self._token = np.zeros(batch_size, np.int64)
        self._num_drawn = np.zeros(batch_size, np.int64)
        self._limit = np.zeros(batch_size, np.int64)
        self._seed = np.zeros(batch_size, np.uint64)
        self._temperature = np.zeros(batch_size, np.float32)
        self._top_p = np.ones(batch_size, np.float32)
        self._tokens_by_character: dict[str, set[int]] = {}
        self._clock = SharedClock()

    def add(self, requests: pl.DataFrame) -> None:
        for request in request_rows(requests):
            self._queue.setdefault(request.prompt, Prompt(request.prompt)).waiting.append(request)

    @torch.inference_mode()
    def poll(self) -> pl.DataFrame:
        self._clock.tick(0)
        finished: list[Completion] = []
        while not finished and (self._queue or self._rows):
            free = self.capacity - len(self._rows)
            # Prefill is efficient only in batches, so that a few free rows wait for more.
            if self._queue and (not self._rows or free >= max(1, self.capacity // 8)):
                finished += self._admit(free)
            if self._rows:
                finished += self._step()
        return completion_block(finished)

    def close(self) -> None:
        self._queue.clear()
        self._rows.clear()
        del self._model, self._cache, self._prefill

    def release(self) -> None:
        assert self._is_idle, "requests are unfinished"
        free_weights(self._model)
        self._forget_states()

    def load_weights(self, weights: Weights) -> None:
        assert self._is_idle, "requests are unfinished"
        replace_weights(self._model, weights)
        self._forget_states()

    @property
    def _is_idle(self) -> bool:
        return not self._queue and not self._rows

    def _forget_states(self) -> None:
        """Begin with an empty cache: its states are of old weights, and arrays that have grown add
        in another order than those of a new engine."""
        self._cache = RowCache(self._model, self.capacity)
        self._prefill = Prefill(self._model)

    def _admit(self, free: int) -> list[Completion]:
        """Move waiting requests into free rows; return completions that need no row."""
        finished: list[Completion] = []
        starting: list[Group] = []
        groups, ahead = self._take(free)
        for prompt, requests in groups:
            ended = [without_drawing(r, len(prompt.ids), self._window) for r in requests]
            finished += [completion for completion in ended if completion]
            pending = [r for r, completion in zip(requests, ended, strict=True) if not completion]
            if pending:
                starting.append((prompt, pending))
        for group in self._prefill.start(starting, ahead):
            self._place(*group)
        return finished

    def _take(self, count: int) -> tuple[list[Group], list[Prompt]]:
        """Take up to ``count`` requests off the queue, in its order; tokenize their prompts.

        The second list has prompts that wait longer, continue the last one and have no states yet.
        """
        groups: list[Group] = []
        for prompt in self._queue.values():
            requests = list(islice(prompt.waiting, count))
            groups.append((prompt, requests))
            count -= len(requests)
            if not count:
                break
        ahead: list[Prompt] = []
        last = groups[-1][0]
        for prompt in islice(self._queue.values(), len(groups), None):
            if not prompt.text.startswith(last.text):
                break
            ahead.append(prompt)
            last = prompt
        fresh = [prompt for prompt in [*(p for p, _ in groups), *ahead] if not prompt.ids]
        if fresh:
            encoded = self._tokenizer([prompt.text for prompt in fresh])["input_ids"]
            for prompt, ids in zip(fresh, encoded, strict=True):
                prompt.ids = ids
                prompt.tail = self._decode(ids[-TAIL_TOKENS:])
        for prompt, requests in groups:
            for _ in requests:
                prompt.waiting.popleft()
            if not prompt.waiting:
                del self._queue[prompt.text]
        fits = [prompt for prompt in ahead if len(prompt.ids) < self._window]
        return groups, [prompt for prompt in fits if prompt.needs_prefill]

    def _place(self, prompt: Prompt, requests: list[Request]) -> None:
        """Give rows to requests, at the end of their prompt."""
        num_prompt = len(prompt.ids)
        first, last = len(self._rows), len(self._rows) + len(requests)
        for i, request in enumerate(requests, start=first):
            self._rows.append(BatchRow(request, prompt, prompt.cached_tokens, self._clock.seconds))
            prompt.cached_tokens = num_prompt - 1
            self._seed[i] = request.seed
            self._temperature[i] = request.temperature
            self._top_p[i] = request.top_p
            self._limit[i] = min(request.max_tokens, self._window - num_prompt)
        self._token[first:last] = prompt.ids[-1]
        self._num_drawn[first:last] = 0
        self._cache.load(first, last, prompt.ids[:-1], prompt.states)
        if not prompt.waiting:
            prompt.states = None

    def _step(self) -> list[Completion]:
        """Draw one token for each row; return the completions that end with it."""
        n = len(self._rows)
        num_drawn = self._num_drawn[:n]
        tokens = torch.from_numpy(self._token[:n, None]).to(self._device)
        positions = self._cache.begin_step(num_drawn)
        logits = decode_step(self._model, tokens, positions, self._cache)
        self._cache.end_step()
        uniform = uniform_numbers(self._seed[:n], num_drawn)
        token = draw_tokens(logits, self._temperature[:n], self._top_p[:n], uniform).cpu().numpy()
        closed = np.zeros(n, np.bool_)
        for i, (row, chosen) in enumerate(zip(self._rows, token.tolist(), strict=True)):
            row.ids.append(chosen)
            ends = [stop for stop in row.request.stop if chosen in self._tokens_with(stop[-1])]
            if ends:
                text = self._whole_text(row, stopped=False)
                closed[i] = any(stop in text for stop in ends)
        self._token[:n] = token
        num_drawn += 1
        stopped = np.isin(token, self._stop_ids)
        ended = np.flatnonzero(stopped | closed | (num_drawn >= self._limit[:n]))
        texts = [
            row.request.ended(self._whole_text(row, bool(stopped[i])))
            for i in ended
            for row in [self._rows[i]]
        ]
        now = self._clock.tick(n)
        finished = [
            Completion(
                request_id=row.request.id,
                text=text,
                finish_reason="stop" if stopped[i] or closed[i] else "length",
                prompt_tokens=len(row.prompt.ids),
                cached_tokens=row.cached_tokens,
                num_tokens=len(row.ids),
                seconds=now - row.started,
                thought_tokens=count_thought_tokens(
                    row.request, text, len(row.ids), partial(self._length, row)
                ),
            )
            for i, text in zip(ended, texts, strict=True)
            for row in [self._rows[i]]
        ]
        self._remove(ended)
        return finished

    def _remove(self, ended: NDArray[np.int64]) -> None:
        """Remove rows from the batch; the last rows move into the gaps."""
        movers, gaps = self._cache.remove(ended, len(self._rows))
        for gap, mover in zip(gaps, movers, strict=True):
            self._rows[gap] = self._rows[mover]
        del self._rows[len(self._rows) - len(ended) :]
        for column in (
            self._token,
            self._num_drawn,
            self._limit,
            self._seed,
            self._temperature,
            self._top_p,
        ):
            column[gaps] = column[movers]

    def _whole_text(self, row: BatchRow, stopped: bool) -> str:
        """Return the text that a row has drawn, with the stop string that ends it."""
        continuation = row.ids[:-1] if stopped else row.ids
        joined = self._decode(row.prompt.ids[-TAIL_TOKENS:] + continuation)
        return joined[len(row.prompt.tail) :]

    def _length(self, row: BatchRow, num_tokens: int) -> int:
        """Return the number of characters of a row's first tokens."""
        joined = self._decode(row.prompt.ids[-TAIL_TOKENS:] + row.ids[:num_tokens])
        return len(joined) - len(row.prompt.tail)

    def _tokens_with(self, character: str) -> set[int]:
        """Return the tokens whose own text holds a character, or may hold a part of its bytes."""
        if character not in self._tokens_by_character:
            texts = self._tokenizer.batch_decode([[token] for token in range(len(self._tokenizer))])
            parts = character if character.isascii() else character + REPLACEMENT
            self._tokens_by_character[character] = {
                i for i, text in enumerate(texts) if not set(parts).isdisjoint(text)
            }
        return self._tokens_by_character[character]

    def _decode(self, ids: list[int]) -> str:
        return str(
            self._tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
