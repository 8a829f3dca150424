import json
import random
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import add, drain, poll
from numpy.typing import NDArray
from tiny_checkpoint import (
    WINDOW,
    check_stopped,
    prompts,
    rollouts,
    save_checkpoint,
    stopped_halfway,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from resources.engines import open_engine, prefill, row_cache, token_draws
from resources.engines.prefill import Prefill, Prompt
from resources.engines.row_cache import RowCache
from resources.engines.token_draws import draw_tokens, uniform_numbers
from resources.engines.transformers import TransformersEngine
from shepherd.requests import Completion, Request
from shepherd.settings import EngineSettings
from training.tokenizer import build_tokenizer

KINDS = {
    "llama": {"kind": "llama", "num_key_value_heads": 1, "tie_word_embeddings": True},
    "mistral": {"kind": "mistral", "sliding_window": None},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(
        tmp_path_factory.mktemp("model"), tokenizer=build_tokenizer(), **request.param
    )


def draw(checkpoint: Path, requests: Sequence[Request], batch_size: int) -> dict[str, Completion]:
    engine = TransformersEngine(checkpoint, batch_size=batch_size, dtype="float32", device="cpu")
    add(engine, requests)
    return drain(engine)


def check_greedy(checkpoint: Path) -> None:
    """Check that greedy completions are those of transformers' ``generate``."""
    requests = rollouts(temperature=0.0)
    completions = draw(checkpoint, requests, batch_size=6)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    for request in requests:
        ids = tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        made = model.generate(ids, max_new_tokens=request.max_tokens, do_sample=False)
        new = made[0, ids.shape[1] :]
        stopped = bool(new[-1] == tokenizer.eos_token_id)
        completion = completions[request.id]
        assert completion.text == tokenizer.decode(new, skip_special_tokens=True)
        assert completion.finish_reason == ("stop" if stopped else "length")
        assert completion.num_tokens == len(new)
        assert completion.prompt_tokens == ids.shape[1]


def test_greedy_is_what_generate_gives(checkpoint: Path) -> None:
    check_greedy(checkpoint)


@pytest.mark.parametrize("window", [5, 33])
def test_a_sliding_window_limits_what_is_seen_and_not_the_length(
    tmp_path: Path, window: int
) -> None:
    check_greedy(save_checkpoint(tmp_path, "mistral", build_tokenizer(), sliding_window=window))


def test_layers_may_differ_in_what_they_see(tmp_path: Path) -> None:
    fields = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}
    check_greedy(save_checkpoint(tmp_path, "qwen2", build_tokenizer(), **fields))


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_completions_do_not_depend_on_their_company(checkpoint: Path, batch_size: int) -> None:
    requests = rollouts(temperature=1.0)
    together = draw(checkpoint, requests, batch_size=64)
    assert len(together) == len(requests)
    assert len({completion.text for completion in together.values()}) > len(requests) // 2
    shuffled = random.Random(batch_size).sample(requests, len(requests))
    apart = draw(checkpoint, shuffled, batch_size)
    assert {i: c.text for i, c in apart.items()} == {i: c.text for i, c in together.items()}


def test_requests_may_be_added_while_others_run(checkpoint: Path) -> None:
    requests = rollouts(temperature=1.0)
    expected = draw(checkpoint, requests, batch_size=64)
    engine = TransformersEngine(checkpoint, batch_size=6, dtype="float32", device="cpu")
    completions = {}
    for start in range(0, len(requests), 3):
        add(engine, requests[start : start + 3])
        completions |= poll(engine)
    completions |= drain(engine)
    assert {i: c.text for i, c in completions.items()} == {i: c.text for i, c in expected.items()}
    assert not poll(engine)


def test_a_prompt_is_prefilled_once_for_all_its_rollouts(checkpoint: Path) -> None:
    completions = draw(checkpoint, rollouts(temperature=1.0), batch_size=6)
    for p in range(5):
        group = [completions[f"{p}/{k}"] for k in range(4)]
        cached = sorted(completion.cached_tokens for completion in group)
        # All prompts begin with one token.
        assert cached[0] <= 1
        assert cached[1:] == 3 * [group[0].prompt_tokens - 1]


@pytest.mark.parametrize("window", [None, 7])
def test_prompts_share_the_tokens_with_which_they_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    checkpoint = save_checkpoint(tmp_path, "mistral", build_tokenizer(), sliding_window=window)
    question = "What is 2 + 3 - 1?\n"
    steps = [["Add 2 and 3.\n", "2 + 3 = 5\n", "5 - 1 = 4\n"], ["Add 2 and 4.\n", "It is 6.\n"]]
    prompts = [
        question + "".join(solution[:n]) for solution in steps for n in range(len(solution) + 1)
    ]
    requests = [
        Request(f"{p}/{k}", prompt, seed=10 * p + k, temperature=1.0, max_tokens=12)
        for p, prompt in enumerate(dict.fromkeys(prompts))
        for k in range(2)
    ]
    expected = {}
    for start in range(0, len(requests), 2):
        expected |= draw(checkpoint, requests[start : start + 2], batch_size=2)
    monkeypatch.setattr(prefill, "CPU_PREFILL_TOKENS", 1)
    computed = []
    states_of = prefill.Prefill._states_of

    def watch(self: prefill.Prefill, batch: list[prefill.Prompt]) -> tuple[torch.Tensor, int]:
        states, num_known = states_of(self, batch)
        computed.extend((prompt.text, num_known) for prompt in batch)
        return states, num_known

    monkeypatch.setattr(prefill.Prefill, "_states_of", watch)
    # The longer prompts wait for rows while those that they continue start.
    drawn = draw(checkpoint, requests, batch_size=4)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    shared = len(tokenizer(question + "Add 2 and")["input_ids"])
    assert computed == [(prompts[3], 0), (prompts[-1], shared)]
    assert {i: c.text for i, c in drawn.items()} == {i: c.text for i, c in expected.items()}
    paid = [c.prompt_tokens - c.cached_tokens for c in drawn.values()]
    whole = [drawn["3/0"].prompt_tokens, drawn["5/0"].prompt_tokens - shared]
    assert sorted(paid) == sorted(10 * [1] + whole)


@pytest.mark.parametrize("most", [1, 3, 16])
def test_rows_share_the_states_of_their_prompt(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(row_cache, "MAX_SHARING", most)
    engine = TransformersEngine(checkpoint, batch_size=20, dtype="float32", device="cpu")
    add(engine, rollouts(temperature=1.0))
    copies = set()

    class Counting(RowCache):
        def begin_step(self, num_drawn: NDArray[np.int64]) -> torch.Tensor:
            num_copies = len(self._ids)
            copies.add((len(num_drawn), num_copies))
            assert self._num_readers[:num_copies].sum() == len(num_drawn)
            assert self._num_readers[:num_copies].all()
            return super().begin_step(num_drawn)

    engine._cache.__class__ = Counting
    completions = drain(engine)
    assert (20, 5 * -(-4 // most)) in copies
    assert min(copies) <= (5, 5)
    expected = draw(checkpoint, rollouts(temperature=1.0), batch_size=2)
    assert {i: c.text for i, c in completions.items()} == {i: c.text for i, c in expected.items()}


def test_seconds_add_up_to_the_time_worked(checkpoint: Path) -> None:
    engine = TransformersEngine(checkpoint, batch_size=6, dtype="float32", device="cpu")
    started = time.perf_counter()
    add(engine, rollouts(temperature=1.0))
    completions = drain(engine)
    elapsed = time.perf_counter() - started
    assert 0.5 * elapsed < sum(c.seconds for c in completions.values()) <= elapsed


def test_the_window_limits_prompts_and_completions(checkpoint: Path) -> None:
    word = " apples"
    requests = [
        Request(f"{n}", word * n, seed=1, temperature=1.0, max_tokens=1000)
        for n in (1, WINDOW - 3, WINDOW - 2, WINDOW - 1, WINDOW + 9)
    ]
    completions = draw(checkpoint, requests, batch_size=4)
    for request in requests:
        completion = completions[request.id]
        room = WINDOW - completion.prompt_tokens
        if room > 0:
            assert completion.num_tokens == room or completion.finish_reason == "stop"
            assert completion.error is None
        else:
            assert (completion.finish_reason, completion.text) == ("error", "")
            assert f"window of {WINDOW}" in str(completion.error)
    assert sum(completion.finish_reason == "error" for completion in completions.values()) == 2


def test_no_prompt_is_computed_that_does_not_fit(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def noted(prefill: Prefill, prompts: list[Prompt]) -> tuple[torch.Tensor, int]:
        lengths.extend(len(prompt.ids) for prompt in prompts)
        return states_of(prefill, prompts)

    states_of = Prefill._states_of
    monkeypatch.setattr(Prefill, "_states_of", noted)
    # Each begins the next, which is computed with it if it fits.
    requests = [
        Request(f"{n}", " apples" * n, seed=1, temperature=1.0, max_tokens=1)
        for n in (WINDOW - 9, WINDOW - 5, WINDOW + 9)
    ]
    completions = draw(checkpoint, requests, batch_size=1)
    assert completions[f"{WINDOW + 9}"].finish_reason == "error"
    assert lengths == [completions[f"{WINDOW - 5}"].prompt_tokens]


def test_no_tokens_are_drawn_where_none_are_asked_for(checkpoint: Path) -> None:
    [prompt] = prompts(1)
    requests = [Request(f"{n}", prompt, 1, 1.0, max_tokens=n) for n in (0, 1, 0)]
    completions = draw(checkpoint, requests, batch_size=4)
    assert [completions[f"{n}"].num_tokens for n in (0, 1)] == [0, 1]
    assert (completions["0"].finish_reason, completions["0"].text) == ("length", "")


@pytest.mark.parametrize("keep_stop", [True, False])
def test_a_stop_string_ends_a_completion_that_holds_it(checkpoint: Path, keep_stop: bool) -> None:
    requests = [r for r in rollouts(temperature=1.0) if r.max_tokens > 8]
    free = draw(checkpoint, requests, batch_size=8)
    stopped = [
        stopped_halfway(request, free[request.id].text)._replace(keep_stop=keep_stop)
        for request in requests
    ]
    completions = draw(checkpoint, stopped, batch_size=3)
    for request in stopped:
        check_stopped(request, completions[request.id], free[request.id])
    assert sum(c.num_tokens for c in completions.values()) < sum(
        c.num_tokens for c in free.values()
    )
    never = draw(checkpoint, [r._replace(stop=("\t",)) for r in requests], batch_size=8)
    assert {i: c.text for i, c in never.items()} == {i: c.text for i, c in free.items()}


def test_prefilled_states_live_while_requests_wait_for_them(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill, "CPU_PREFILL_TOKENS", 100)
    loaded: list[weakref.ref[torch.Tensor]] = []
    load = RowCache.load

    def watch(cache: RowCache, first: int, last: int, ids: list[int], states: torch.Tensor) -> None:
        load(cache, first, last, ids, states)
        loaded.append(weakref.ref(states))

    monkeypatch.setattr(RowCache, "load", watch)
    engine = TransformersEngine(checkpoint, batch_size=10, dtype="float32", device="cpu")
    add(engine, rollouts(temperature=1.0))
    poll(engine)
    assert len(loaded) == 3
    [kept] = [p.states for p in engine._queue.values() if p.states is not None]
    assert all(ref() is None or ref() is kept for ref in loaded)
    assert kept.untyped_storage().nbytes() == kept.nbytes


def metaspace_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of SentencePiece's kind: decoding drops the first token's space."""
    words = ["<unk>", "</s>", *(f"▁{word}" for word in ("one", "two", "three", "four")), "!"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def test_text_continues_the_prompt_where_decoding_drops_a_space(tmp_path: Path) -> None:
    tokenizer = metaspace_tokenizer()
    folder = save_checkpoint(tmp_path, "llama", tokenizer)
    model = LlamaForCausalLM.from_pretrained(folder)
    requests = [
        Request(f"{n}", "one two" + " three" * n, seed=0, temperature=0.0, max_tokens=6)
        for n in range(0, 40, 3)
    ]
    completions = draw(folder, requests, batch_size=64)
    for request in requests:
        ids = tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        made = model.generate(ids, max_new_tokens=6, do_sample=False)[0]
        whole = tokenizer.decode(made, skip_special_tokens=True)
        assert request.prompt + completions[request.id].text == whole
    assert any(completion.text.startswith(" ") for completion in completions.values())


def test_a_checkpoint_without_a_stop_token_is_refused(tmp_path: Path) -> None:
    tokenizer = metaspace_tokenizer()
    tokenizer.eos_token = None
    folder = save_checkpoint(tmp_path, "llama", tokenizer)
    with pytest.raises(ValueError, match="no stop token"):
        TransformersEngine(folder, device="cpu")


@pytest.mark.parametrize("gone", [None, "config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_checkpoint_is_named_in_one_line(tmp_path: Path, gone: str | None) -> None:
    folder = tmp_path / "model"
    if gone:
        save_checkpoint(folder, "llama", build_tokenizer())
        (folder / gone).unlink()
    with pytest.raises(
        ValueError, match="no checkpoint that can be read: correct `base`"
    ) as caught:
        TransformersEngine(folder, device="cpu")
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("layer_types", ["full_attention", "linear_attention"]), ("attn_logit_softcapping", 50.0)],
)
def test_models_that_do_more_than_attend_are_refused(
    tmp_path: Path, field: str, value: object
) -> None:
    folder = save_checkpoint(tmp_path, "llama", build_tokenizer())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, field: value}))
    with pytest.raises(ValueError, match=r"does not compute .*engine\.kind to vllm"):
        TransformersEngine(folder, device="cpu")


def test_open_engine_follows_the_settings(checkpoint: Path) -> None:
    engine = open_engine(EngineSettings(batch_size=3, dtype="float32", device="cpu"), checkpoint)
    assert engine.capacity == 3
    add(engine, rollouts(temperature=1.0))
    assert poll(engine)
    engine.close()
    assert not poll(engine)


def test_uniform_numbers_are_uniform_and_keyed_by_seed_and_counter() -> None:
    seeds, counters = np.meshgrid(np.arange(200, dtype=np.uint64), np.arange(200))
    numbers = uniform_numbers(seeds.ravel(), counters.ravel())
    assert numbers.dtype == np.float32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    shares = np.bincount((numbers * 10).astype(int), minlength=10) / len(numbers)
    assert np.abs(shares - 0.1).max() < 0.006
    grid = numbers.reshape(200, 200)
    assert abs(np.corrcoef(grid[:, :-1].ravel(), grid[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(grid[:-1].ravel(), grid[1:].ravel())[0, 1]) < 0.02


def test_draws_follow_the_tempered_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, -torch.inf, 2.0])
    rows = 20_000
    uniform = uniform_numbers(np.arange(rows, dtype=np.uint64), np.zeros(rows, np.int64))
    whole = np.ones(rows, np.float32)
    drawn = draw_tokens(logits.expand(rows, 4), np.full(rows, 0.5, np.float32), whole, uniform)
    shares = torch.bincount(drawn, minlength=4) / rows
    assert torch.allclose(shares, (logits / 0.5).softmax(-1), atol=0.01)
    assert shares[2] == 0
    mixed = draw_tokens(
        logits.expand(2, 4), np.array([0.0, 1.0], np.float32), whole[:2], np.zeros(2, np.float32)
    )
    assert mixed.tolist() == [3, 0]


@pytest.mark.parametrize("first_tokens", [1, 3, 256])
def test_top_p_draws_from_the_likeliest_tokens(
    first_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_draws, "NUCLEUS_TOKENS", first_tokens)
    probability = torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15])
    rows = 20_000
    uniform = uniform_numbers(np.arange(rows, dtype=np.uint64), np.zeros(rows, np.int64))
    top_p = np.tile(np.array([0.71, 1.0], np.float32), rows // 2)
    drawn = draw_tokens(
        probability.log().expand(rows, 5), np.ones(rows, np.float32), top_p, uniform
    )
    nucleus = torch.bincount(drawn[::2], minlength=5) / (rows // 2)
    assert torch.allclose(nucleus, torch.tensor([0, 0.4, 0, 0.3, 0.15]) / 0.85, atol=0.02)
    assert torch.allclose(
        torch.bincount(drawn[1::2], minlength=5) / (rows // 2), probability, atol=0.02
    )


def test_a_stop_string_is_found_where_its_last_character_has_several_tokens(
    tmp_path: Path,
) -> None:
    """A tokenizer of bytes writes a character such as 题 as three tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    bytewise = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="!")
    folder = save_checkpoint(tmp_path, "llama", bytewise)
    engine = TransformersEngine(folder, batch_size=2, dtype="float32", device="cpu")
    ids = bytewise("问题")["input_ids"]
    assert all(token in engine._tokens_with("题") for token in ids[3:])
    assert len(engine._tokens_with("a")) == 1
