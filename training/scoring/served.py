"""Compute scores through an OpenAI-compatible server that holds the reward model.

The server computes log-probabilities of given tokens: ``/completions`` with ``echo``, as vLLM's
server has it. A score needs those of both label tokens, so only reward models that answer with
label tokens can be served (formats ``tags`` without a scalar head, ``math_shepherd`` and
``chat_turns``). vLLM does not use its cache of prefixes where it echoes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Annotated

import httpx
import torch
from pydantic import BaseModel, Field, ValidationError

from resources.engines.openai import CONNECT_TIMEOUT, read_key
from shepherd.messages import one_line
from training.scoring.encoders import Encoded, Labels

RETRIES = 3
"""Tries to connect again."""


class _LogProbs(BaseModel):
    token_logprobs: list[float | None]


class _Choice(BaseModel):
    index: Annotated[int, Field(ge=0)]
    logprobs: _LogProbs


class _Answer(BaseModel):
    choices: list[_Choice]


class ServedReader:
    """A reward model on a server.

    Args:
        url: base address of the server, which ends in ``/v1``.
        model: the name that the server has for it.
        labels: its label tokens.
        num_requests: requests at once, each with all steps of a solution.
        key_variable: environment variable with the key of the server, if it asks for one.
    """

    def __init__(
        self,
        url: str,
        model: str,
        labels: Labels,
        *,
        num_requests: int = 8,
        key_variable: str = "OPENAI_API_KEY",
    ) -> None:
        key = read_key(key_variable)
        self._model, self._labels, self._url = model, labels, url.rstrip("/")
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            transport=httpx.HTTPTransport(retries=RETRIES),
        )
        self._pool = ThreadPoolExecutor(num_requests)

    def probabilities(self, solutions: Sequence[Encoded]) -> Iterator[dict[int, list[float]]]:
        """Yield the probabilities at the places of some solutions, by their index, in any order.

        Raises:
            ValueError: the server cannot be reached, refuses, or returns no log-probabilities.
        """
        running = {
            self._pool.submit(self._read, solution): index
            for index, solution in enumerate(solutions)
        }
        try:
            for done in as_completed(running):
                yield {running[done]: done.result()}
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

    def _read(self, solution: Encoded) -> list[float]:
        """Return the probability of the good label at each place of a solution."""
        if not solution.places:
            return []
        prompts = [
            [*solution.ids[: place + 1], label]
            for place in solution.places
            for label in (self._labels.good, self._labels.bad)
        ]
        good, bad = torch.tensor(self._log_probs(prompts), dtype=torch.float64).view(-1, 2).T
        probabilities: list[float] = torch.sigmoid(good - bad).tolist()
        return probabilities

    def _log_probs(self, prompts: Sequence[Sequence[int]]) -> list[float]:
        """Return the log-probability of the last token of each prompt."""
        fields = {
            "model": self._model,
            "prompt": prompts,
            "max_tokens": 1,
            "temperature": 0,
            "echo": True,
            "logprobs": 0,
        }
        address = f"{self._url}/completions"
        try:
            response = self._http.post(address, json=fields)
        except httpx.HTTPError as error:
            raise ValueError(
                f"{address}: {one_line(str(error))}: correct the address, or start the server"
            ) from error
        if not response.is_success:
            raise ValueError(f"{address}: {response.status_code} {one_line(response.text)[:300]}")
        try:
            choices = _Answer.model_validate_json(response.content).choices
        except ValidationError as error:
            raise ValueError(
                f"{address}: returned no log-probabilities of the prompt: take a server that "
                "echoes prompts, such as vLLM's"
            ) from error
        by_prompt = {choice.index: choice.logprobs.token_logprobs for choice in choices}
        found = [
            by_prompt.get(index, [])[len(prompt) - 1 : len(prompt)]
            for index, prompt in enumerate(prompts)
        ]
        last = [values[0] for values in found if values and values[0] is not None]
        if len(last) != len(prompts):
            raise ValueError(
                f"{address}: returned log-probabilities of {len(last)} of {len(prompts)} prompts: "
                "take a server that echoes prompts, such as vLLM's"
            )
        return last
