"""Draw completions with vLLM in this process, with its prefix cache and parallel workers."""

from pathlib import Path

import polars as pl
from transformers import AutoConfig
from vllm import RequestOutput, SamplingParams
from vllm.inputs import TokensPrompt
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind

from resources.checkpoints.loading import load
from resources.checkpoints.open_prompts import leave_prompts_open
from resources.checkpoints.weight_files import check_weight_files
from resources.engines.checkpoints import without_drawing
from resources.engines.clock import SharedClock
from resources.engines.new_weights import Weights, weights_folder
from resources.engines.texts import whole_characters
from resources.engines.thought_tokens import count_thought_tokens
from resources.engines.vllm_engine import check_extra_arguments, end_vllm, open_vllm
from shepherd.requests import Completion, Request, completion_block, request_rows
from shepherd.settings import VllmEngineSettings

FREE_ALL = 2
"""The level of vLLM's sleep that frees weights and cache, and forgets cached prefixes."""


class VllmEngine:
    """Draws completions with vLLM, ``batch_size`` at once.

    With equal seeds a completion is the same up to rounding: the requests that run beside it
    change the shapes of the matrix products, and thus their last bits.

    An engine that is to get new weights (``is_reloaded``) is in vLLM's sleep mode between
    ``release`` and ``load_weights``: https://docs.vllm.ai/en/latest/features/sleep_mode.

    Raises:
        ValueError: there is no such checkpoint, or vLLM cannot run it with these settings.
    """

    def __init__(
        self,
        model: Path | str,
        settings: VllmEngineSettings,
        *,
        batch_size: int,
        dtype: str,
        is_reloaded: bool = False,
    ) -> None:
        check_weight_files(model, load(AutoConfig, model))
        self.capacity = batch_size
        named = engine_arguments(model, settings, batch_size, dtype, is_reloaded=is_reloaded)
        self._engine = open_vllm(named, "engine.vllm")
        self._tokenizer = self._engine.get_tokenizer()
        leave_prompts_open(self._tokenizer, model)
        self._window = int(self._engine.model_config.max_model_len)
        self._encoded: tuple[str, list[int]] = ("", [])
        self._running: dict[str, tuple[Request, float]] = {}
        self._finished: list[Completion] = []
        self._clock = SharedClock()

    def add(self, requests: pl.DataFrame) -> None:
        for request in request_rows(requests):
            ids = self._encode(request.prompt)
            ended = without_drawing(request, len(ids), self._window)
            if ended:
                self._finished.append(ended)
                continue
            self._running[request.id] = request, self._clock.seconds
            self._engine.add_request(
                request.id, TokensPrompt(prompt_token_ids=ids), _sampling(request)
            )

    def poll(self) -> pl.DataFrame:
        self._clock.tick(0)
        finished, self._finished = self._finished, []
        while not finished and self._running:
            num_running = len(self._running)
            outputs = self._engine.step()
            self._clock.tick(num_running)
            finished = [self._completion(output) for output in outputs if output.finished]
        return completion_block(finished)

    def close(self) -> None:
        self._engine.abort_request(list(self._running))
        self._running.clear()
        end_vllm(self._engine)
        del self._engine

    def release(self) -> None:
        assert not self._running, "requests are unfinished"
        # Without a sleep mode this pauses the scheduler, forgets prefixes and frees nothing.
        self._engine.sleep(level=FREE_ALL)

    def load_weights(self, weights: Weights) -> None:
        assert not self._running, "requests are unfinished"
        if not self._engine.is_sleeping():
            self.release()
        # The cache wakes last: while weights load, a part of them is in memory twice.
        self._wake_up("weights")
        with weights_folder(weights) as folder:
            self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        self._wake_up("kv_cache")

    def _wake_up(self, part: str) -> None:
        """Take the memory of weights or cache again.

        Raises:
            ValueError: vLLM cannot, since the caller has taken some of it meanwhile.
        """
        try:
            self._engine.wake_up([part])
        except Exception as error:  # vLLM has no narrower one for what its own process raises
            raise ValueError(
                "vLLM cannot take its memory again, since the training holds more than when vLLM "
                "was opened: lower engine.vllm.gpu_memory_utilization, and run again: finished "
                f"iterations are kept ({' '.join(str(error).split())})"
            ) from error

    def _encode(self, prompt: str) -> list[int]:
        """Return a prompt's tokens; consecutive requests often have one prompt."""
        if prompt != self._encoded[0]:
            self._encoded = (prompt, self._tokenizer.encode(prompt))
        return self._encoded[1]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _completion(self, output: RequestOutput) -> Completion:
        [drawn] = output.outputs
        assert drawn.finish_reason in {"stop", "length"}, drawn.finish_reason
        request, started = self._running.pop(output.request_id)
        ids = list(drawn.token_ids)
        # Of several stop strings in the last token vLLM takes the first of the list.
        text = request.ended(
            drawn.text
            if request.stop
            else whole_characters(self._decode, list(output.prompt_token_ids), ids)
        )

        def length_of(num_tokens: int) -> int:
            return len(self._decode(ids[:num_tokens]))

        return Completion(
            request_id=output.request_id,
            text=text,
            finish_reason=drawn.finish_reason,
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            num_tokens=len(ids),
            seconds=self._clock.seconds - started,
            thought_tokens=count_thought_tokens(request, text, len(ids), length_of),
        )


def engine_arguments(
    model: Path | str,
    settings: VllmEngineSettings,
    batch_size: int,
    dtype: str,
    *,
    is_reloaded: bool = False,
) -> dict[str, object]:
    """Return the arguments of vLLM's ``EngineArgs`` by name.

    Raises:
        ValueError: an extra argument of the settings is not vLLM's, or is set here.
    """
    arguments = {
        "model": str(model),
        "dtype": dtype,
        "max_num_seqs": batch_size,
        "enable_prefix_caching": True,
        # After a chunk of a prompt vLLM rewinds the seeded generator; a CPU's generator cannot.
        "enable_chunked_prefill": False if current_platform.is_cpu() else None,
        "disable_log_stats": True,
        # A CPU's memory is not freed: vLLM has no sleep mode there.
        "enable_sleep_mode": is_reloaded and current_platform.is_sleep_mode_available(),
        **settings.model_dump(exclude={"copies", "extra_arguments"}),
    }
    check_extra_arguments(settings.extra_arguments, arguments)
    return {**arguments, **settings.extra_arguments}


def _sampling(request: Request) -> SamplingParams:
    return SamplingParams(
        seed=request.seed,
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_tokens,
        stop=list(request.stop),
        include_stop_str_in_output=True,
        # Without stop strings the text is needed once, at the end.
        detokenize=bool(request.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
