"""vLLM itself in this process, with small random checkpoints on the CPU."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from blocks import add, drain, poll
from designs import DESIGNS, greedy_completions, save_design
from pydantic import JsonValue
from safetensors.torch import load_file, save_file
from tiny_checkpoint import check_stopped, prompts, rollouts, stopped_halfway
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from vllm_setup import ENVIRONMENT, LONG, WINDOW, content, draw, needs_vllm, save_small_model

from resources import engines
from resources.engines import open_engine, open_reloadable_engine
from resources.engines.texts import whole_characters
from shepherd.requests import Completion, Engine, Request
from shepherd.settings import EngineSettings, VllmEngineSettings
from training.tokenizer import build_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("model"))


def settings(**fields: object) -> EngineSettings:
    vllm = VllmEngineSettings(enforce_eager=True, max_model_len=WINDOW).model_copy(update=fields)
    return EngineSettings(kind="vllm", batch_size=32, dtype="float32", vllm=vllm)


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # In a process of its own, the model would be loaded anew by each test.
        for name, value in {**ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
            patch.setenv(name, value)
        yield


# Before `engine` is opened: one process holds one engine at a time.
@needs_vllm
@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_is_written_as_the_embedded_engine_writes_it(
    design: str, tmp_path: Path, environment: None
) -> None:
    checkpoint = save_design(tmp_path, design)
    expected_completions = greedy_completions(checkpoint)
    chosen = EngineSettings(
        kind="vllm", batch_size=8, dtype="float32", vllm=VllmEngineSettings(enforce_eager=True)
    )
    with closing(open_engine(chosen, checkpoint)) as engine:
        completions = draw(engine, rollouts(temperature=0.0))
    assert completions.keys() == expected_completions.keys()
    for name, expected in expected_completions.items():
        drawn = completions[name]
        assert drawn.num_tokens == expected.num_tokens
        # vLLM holds back the last tokens where their bytes are no whole character yet.
        whole = not expected.text.endswith("\ufffd")
        assert drawn.text == expected.text if whole else expected.text.startswith(drawn.text)


@pytest.fixture(scope="module")
def engine(checkpoint: Path, environment: None) -> Iterator[Engine]:
    with closing(open_engine(settings(), checkpoint)) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(checkpoint: Path) -> dict[str, Completion]:
    """The greedy completions of the embedded engine."""
    return greedy_completions(checkpoint)


@needs_vllm
def test_a_long_prompt_is_computed_once(engine: Engine) -> None:
    prompt = " ".join(prompts(6))
    for k in range(3):
        request = Request(f"{k}", prompt, k, 1.0, max_tokens=4)
        [drawn] = draw(engine, [request]).values()
        assert 128 < drawn.prompt_tokens < WINDOW
        assert (drawn.cached_tokens >= 128) == (k > 0)


@needs_vllm
def test_seeds_repeat_where_prompts_fill_more_than_a_step(engine: Engine) -> None:
    requests = [
        Request(f"{n}", " apples" * (300 + n), n, temperature=1.0, max_tokens=4) for n in range(40)
    ]
    assert content(draw(engine, requests)) == content(draw(engine, requests))


@needs_vllm
def test_greedy_is_what_the_embedded_engine_gives(
    engine: Engine, reference: dict[str, Completion]
) -> None:
    started = time.perf_counter()
    completions = draw(engine, rollouts(temperature=0.0))
    elapsed = time.perf_counter() - started
    assert content(completions) == content(reference)
    assert 0.5 * elapsed < sum(c.seconds for c in completions.values()) <= elapsed


@needs_vllm
@pytest.mark.parametrize("keep_stop", [True, False])
def test_a_stop_string_ends_a_completion_that_holds_it(
    engine: Engine, reference: dict[str, Completion], keep_stop: bool
) -> None:
    requests = [r for r in rollouts(temperature=0.0) if r.max_tokens > 8]
    stopped = [
        stopped_halfway(request, reference[request.id].text)._replace(keep_stop=keep_stop)
        for request in requests
    ]
    completions = draw(engine, stopped)
    for request in stopped:
        check_stopped(request, completions[request.id], reference[request.id])


@needs_vllm
def test_seeds_repeat_and_differ(engine: Engine) -> None:
    requests = rollouts(temperature=1.0)
    first, again = draw(engine, requests), draw(engine, requests[::-1])
    assert content(first) == content(again)
    assert len({completion.text for completion in first.values()}) > len(requests) // 2


@needs_vllm
def test_requests_may_be_added_while_others_run(engine: Engine) -> None:
    requests = rollouts(temperature=0.0)
    expected = draw(engine, requests)
    completions = {}
    for start in range(0, len(requests), 5):
        add(engine, requests[start : start + 5])
        completions |= poll(engine)
    assert 0 < len(completions) < len(requests)
    completions |= drain(engine)
    assert content(completions) == content(expected)
    assert not poll(engine)


@needs_vllm
def test_the_window_limits_prompts_and_completions(engine: Engine) -> None:
    # The tokenizer puts one token before the words.
    requests = [
        Request(f"{n}", " apples" * (n - 1), seed=1, temperature=1.0, max_tokens=1000)
        for n in (WINDOW - 2, WINDOW - 1, WINDOW, WINDOW + 9)
    ]
    completions = draw(engine, requests)
    for request in requests:
        completion = completions[request.id]
        assert completion.prompt_tokens == int(request.id)
        room = WINDOW - completion.prompt_tokens
        if room > 0:
            assert completion.num_tokens == room or completion.finish_reason == "stop"
        else:
            assert (completion.finish_reason, completion.text) == ("error", "")
            assert f"window of {WINDOW}" in str(completion.error)


@needs_vllm
def test_new_weights_are_those_of_an_opened_checkpoint(
    checkpoint: Path, environment: None, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    weights = load_file(checkpoint / "model.safetensors")
    torch.manual_seed(7)
    changed = {name: weight + 0.05 * torch.randn_like(weight) for name, weight in weights.items()}
    save_file(changed, other / "model.safetensors", {"format": "pt"})
    prompt = " ".join(prompts(6))
    requests = [*rollouts(temperature=0.0), Request("long", prompt, 0, 0.0, max_tokens=8)]
    with closing(open_reloadable_engine(settings(), other)) as engine:
        expected = content(draw(engine, requests))
    with closing(open_reloadable_engine(settings(), checkpoint)) as engine:
        before = content(draw(engine, requests))
        assert before != expected
        # Without a release, cached prefixes are of the weights before.
        for new, drawn in ((changed, expected), (weights, before)):
            engine.load_weights(new)
            assert content(draw(engine, requests)) == drawn
        engine.release()
        engine.load_weights(changed)
        assert content(draw(engine, requests)) == expected


@needs_vllm
def test_what_vllm_refuses_is_one_line(checkpoint: Path, environment: None) -> None:
    with pytest.raises(ValueError, match=r"vLLM refuses it: correct engine\.vllm") as caught:
        open_engine(settings(max_model_len=10 * LONG), checkpoint)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="correct `base`"):
        open_engine(settings(), checkpoint / "nothing")


@needs_vllm
def test_extra_arguments_are_checked_by_name(environment: None) -> None:
    from resources.engines.vllm import engine_arguments

    def arguments(**extra: JsonValue) -> dict[str, object]:
        chosen = VllmEngineSettings(max_model_len=9, copies=2, extra_arguments=extra)
        return engine_arguments("m", chosen, 8, "float32")

    named = arguments(quantization="fp8", speculative_config={"method": "ngram"})
    assert (named["quantization"], named["max_model_len"]) == ("fp8", 9)
    assert "copies" not in named
    with pytest.raises(ValueError, match=r"extra_arguments\.quantisation: .* `quantization`\?"):
        arguments(quantisation="fp8")
    with pytest.raises(ValueError, match=r"extra_arguments\.max_num_seqs: .*: leave it out"):
        arguments(max_num_seqs=9)
    with pytest.raises(ValueError, match=r"data_parallel_size: set engine\.vllm\.copies instead"):
        arguments(data_parallel_size=2)


@needs_vllm
def test_a_worker_that_does_not_start_is_one_line(
    checkpoint: Path, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vllm.v1.engine.llm_engine import LLMEngine

    def fail(*_: object) -> None:
        raise RuntimeError("Engine core initialization failed. See root cause above.")

    monkeypatch.setattr(LLMEngine, "from_engine_args", fail)
    monkeypatch.delenv("VLLM_NO_USAGE_STATS")
    with pytest.raises(ValueError, match=r"vLLM did not start: .* own messages.*engine\.vllm"):
        open_engine(settings(), checkpoint)
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"


def test_vllm_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"vLLM is not installed: .*\[vllm\]"):
        open_engine(settings(), tmp_path)


def bytewise_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of bytes: most of its sequences are no text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="!")


@needs_vllm
@pytest.mark.parametrize("tokenizer", [build_tokenizer(), bytewise_tokenizer()])
def test_a_text_is_that_which_vllm_puts_together_token_by_token(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    from vllm import SamplingParams
    from vllm.v1.engine.detokenizer import IncrementalDetokenizer

    rng = random.Random(0)
    head, prompt = range(len(tokenizer)), tokenizer.encode(" 3 apples and 4 pears")
    texts = []
    for _ in range(100):
        ids = rng.choices(head, k=rng.randint(1, 12))
        asked = SimpleNamespace(
            request_id="r", prompt_token_ids=prompt, sampling_params=SamplingParams()
        )
        detokenizer = IncrementalDetokenizer.from_new_request(tokenizer, asked)
        for token in ids:
            detokenizer.update([token], stop_terminated=False)
        decode = partial(tokenizer.decode, skip_special_tokens=True)
        texts.append(whole_characters(decode, prompt, ids))
        assert texts[-1] == detokenizer.get_next_output_text(finished=True, delta=False)
    assert len(set(texts)) > 50
