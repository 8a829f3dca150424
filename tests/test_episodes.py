"""Each step's reward belongs to the token that ends the step, with any tokenizer."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from shepherd.requests import Completion
from shepherd.word_problems import draw_problem, write_solution
from training.episodes import Episode, EpisodeBatch, Question, read_response
from training.sft import encode
from training.tokenizer import build_tokenizer

QUESTION = Question("How many?", "7", "How many?\n", "auto")


def byte_pairs() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, of which some tokens hold a newline and what is before it."""
    rng = random.Random(0)
    texts = [write_solution(draw_problem(rng, 3), rng) for _ in range(50)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


def sentence_pieces() -> PreTrainedTokenizerFast:
    """A tokenizer as LLaMA 2's, which begins any text with a space of its own."""
    rng = random.Random(0)
    texts = [write_solution(draw_problem(rng, 3), rng) for _ in range(50)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator([QUESTION.prompt, *texts], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")


WORDS, PAIRS, PIECES = build_tokenizer(), byte_pairs(), sentence_pieces()


def read(tokenizer: PreTrainedTokenizerFast, text: str, reason: str = "stop") -> Episode | None:
    return read_response(tokenizer, QUESTION, Completion("", text, reason, 0, 0, 0, 0.0))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from(["stop", "length"]))
def test_the_tokens_up_to_a_step_s_end_are_the_steps_so_far(seed: int, reason: str) -> None:
    rng = random.Random(seed)
    episode = read(WORDS, write_solution(draw_problem(rng, 2 + seed % 4), rng), reason)
    assert episode is not None
    start = 0
    for step, end in zip(episode.steps, episode.ends, strict=True):
        decoded = WORDS.decode(episode.response[start : end + 1], skip_special_tokens=True)
        assert decoded == step
        start = end + 1
    assert start == len(episode.response)
    assert (episode.response[-1] == WORDS.eos_token_id) == (reason == "stop")


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_a_token_that_two_steps_share_ends_the_first(seed: int) -> None:
    rng = random.Random(seed)
    episode = read(PAIRS, write_solution(draw_problem(rng, 2 + seed % 4), rng))
    assert episode is not None
    so_far = ""
    # The last step ends with the stop token, which has no text.
    for step, end in list(zip(episode.steps, episode.ends, strict=True))[:-1]:
        so_far += step
        assert PAIRS.decode(episode.response[: end + 1]).startswith(so_far)
        assert not PAIRS.decode(episode.response[:end]).startswith(so_far)


@pytest.mark.parametrize("begins_with_space", [True, False])
def test_the_tokens_are_those_that_were_drawn(begins_with_space: bool) -> None:
    rng = random.Random(1)
    solution = write_solution(draw_problem(rng, 3), rng)
    prompt, eos = PIECES.encode(QUESTION.prompt), PIECES.eos_token_id
    drawn = PIECES.encode(solution)
    if not begins_with_space:
        drawn = PIECES.encode(QUESTION.prompt + solution)[len(prompt) :]
    # An engine's text is what a response adds to the text of its prompt.
    text = PIECES.decode([*prompt, *drawn])[len(QUESTION.prompt) :]
    assert text.startswith(" ") == begins_with_space
    episode = read(PIECES, text)
    assert episode is not None
    assert episode.response == [*drawn, eos]
    first = QUESTION.prompt + episode.steps[0]
    assert PIECES.decode([*prompt, *drawn[: episode.ends[0] + 1]]).startswith(first)
    assert not PIECES.decode([*prompt, *drawn[: episode.ends[0]]]).startswith(first)


def test_gold_solutions_are_read_as_they_would_be_drawn() -> None:
    rng = random.Random(2)
    solution = write_solution(draw_problem(rng, 3), rng)
    example = encode(PIECES, QUESTION.prompt, solution)
    assert example.ids == [*PIECES.encode(QUESTION.prompt + solution), PIECES.eos_token_id]
    assert PIECES.encode(solution)[0] not in example.ids[len(PIECES.encode(QUESTION.prompt)) :][:1]


def test_steps_of_characters_that_take_several_tokens_end_at_their_last() -> None:
    episode = read(PAIRS, "3 × 4 = 12 ки\nπ ≈ 3.\nThe answer is: 12")
    assert episode is not None
    assert len(episode.steps) == 2
    assert PAIRS.decode(episode.response[: episode.ends[0] + 1]) == episode.steps[0]


@pytest.mark.parametrize(("reason", "tokens"), [("stop", 1), ("error", None), ("length", None)])
def test_an_empty_response_is_its_stop_token_or_nothing(reason: str, tokens: int | None) -> None:
    episode = read(WORDS, "", reason)
    assert (episode and len(episode.response)) == tokens
    if episode:
        assert (episode.steps, episode.ends) == ([""], [0])


def test_a_token_is_foretold_at_the_place_before_it() -> None:
    episodes = [
        Episode("", "", "", [1, 2, 3], [4, 5], [""], [1], False),
        Episode("", "", "", [6], [7, 8, 9], [""], [2], True),
    ]
    rows = EpisodeBatch.of(episodes, torch.device("cpu"))
    assert rows.ids.tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 0]]
    assert rows.tokens.tolist() == [[4, 5, 0], [7, 8, 9]]
    assert rows.mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert rows.before.tolist() == [[2, 3, 0], [0, 1, 2]]
