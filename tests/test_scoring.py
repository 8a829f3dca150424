"""Scores with common beginnings computed once are those of one forward pass a solution."""

import random
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_checkpoint import save_checkpoint
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from shepherd.settings import ScoringSettings
from shepherd.splitting import split_steps
from shepherd.word_problems import draw_problems, write_solution
from training.prefix_trees import pack_sequences
from training.scoring import Kind, Scorer
from training.scoring.copies import CopiedScorer, parts_of
from training.step_tags import Tags, encode_all, encode_tagged
from training.tokenizer import build_tokenizer

MAX_LENGTH = 200
WIDE = {"max_position_embeddings": MAX_LENGTH, "sliding_window": None}


def solutions(num_problems: int = 4, each: int = 6) -> tuple[list[str], list[list[str]]]:
    """Return questions and steps; solutions of a problem share steps, and some are equal."""
    rng = random.Random(0)
    questions, steps = [], []
    for problem in draw_problems(3, "train", num_problems):
        for _ in range(each):
            written = split_steps(write_solution(problem, rng))
            questions.append(problem.question)
            steps.append(written[: rng.randint(1, len(written))])
    order = rng.sample(range(len(steps)), len(steps))
    return [questions[i] for i in order], [steps[i] for i in order]


@torch.inference_mode()
def plain_scores(folder: Path, kind: Kind) -> list[list[float]]:
    """Return the scores of ``solutions`` by one unpadded forward pass each."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tags, scores = Tags.of(tokenizer), []
    for question, steps in zip(*solutions(), strict=True):
        unit = steps if kind == "process" else ["".join(steps)]
        example = encode_tagged(
            tokenizer, tags, question + "\n", unit, [0.0] * len(unit), MAX_LENGTH
        )
        logits = model(torch.tensor([example.ids])).logits[0, example.tags]
        scores.append(torch.sigmoid(logits[:, tags.good] - logits[:, tags.bad]).tolist())
    return scores


def open_scorer(folder: Path, kind: Kind = "process", max_length: int = MAX_LENGTH) -> Scorer:
    return Scorer(folder, kind=kind, template="plain", max_length=max_length, dtype=torch.float32)


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gpt_neox"])
@pytest.mark.parametrize("kind", ["process", "outcome"])
def test_scores_equal_one_forward_per_solution(
    architecture: str, kind: Kind, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path, architecture, build_tokenizer(), **WIDE)
    expected = plain_scores(folder, kind)
    assert np.ptp(np.concatenate(expected)) > 0.01
    found = open_scorer(folder, kind).score(*solutions())
    for scores, plain in zip(found, expected, strict=True):
        assert scores == pytest.approx(plain, abs=1e-5)


@torch.inference_mode()
def test_a_classifier_with_one_output_scores_at_the_tags(tmp_path: Path) -> None:
    source = save_checkpoint(tmp_path / "lm", "llama", build_tokenizer(), **WIDE)
    model = AutoModelForTokenClassification.from_pretrained(source, num_labels=1)
    model.save_pretrained(tmp_path)
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    found = open_scorer(tmp_path).score(*solutions())
    tags = Tags.of(tokenizer)
    for question, steps, scores in zip(*solutions(), found, strict=True):
        example = encode_tagged(
            tokenizer, tags, question + "\n", steps, [0.0] * len(steps), MAX_LENGTH
        )
        rewards = model(torch.tensor([example.ids])).logits[0, example.tags, 0]
        assert scores == pytest.approx(torch.sigmoid(rewards).tolist(), abs=1e-5)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what scorers have warned of."""
    return [record.getMessage() for record in caplog.records if "scoring" in record.name]


def test_steps_that_do_not_fit_are_unscored_and_counted(
    base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    questions, steps = solutions(num_problems=1)
    whole = open_scorer(base).score(questions, steps)
    assert not warnings_of(caplog)
    cut = open_scorer(base, max_length=36).score(questions, steps)
    assert [len(scores) for scores in cut] == [len(texts) for texts in steps]
    unscored = [scores.count(None) for scores in cut]
    num_cut = sum(map(bool, unscored))
    assert num_cut
    for all_seen, some_seen, count in zip(whole, cut, unscored, strict=True):
        seen = some_seen[: len(some_seen) - count]
        assert seen == pytest.approx(all_seen[: len(seen)], abs=1e-5)
    [message] = warnings_of(caplog)
    assert (
        f"{sum(unscored)} of {sum(map(len, steps))} steps, in {num_cut} of {len(steps)}" in message
    )
    assert "past max_length 36 and unscored" in message
    narrow = open_scorer(base, max_length=8)
    assert narrow.score(questions[:1], [["Step 1: no.\n"] * 2]) == [[None, None]]


def test_parts_hold_whole_questions_and_are_of_similar_length() -> None:
    questions, steps = solutions(num_problems=9)
    parts = parts_of(questions, steps, 4)
    assert sorted(index for part in parts for index in part) == list(range(len(questions)))
    of_parts = [{questions[index] for index in part} for part in parts]
    assert len(of_parts) == 4
    assert sum(map(len, of_parts)) == len(set(questions)) == 9
    lengths = [sum(len(text) for index in part for text in steps[index]) for part in parts]
    assert max(lengths) < 2 * min(lengths)
    assert parts_of(questions[:1], steps[:1], 4) == [[0]]
    assert parts_of([], [], 4) == []


@pytest.mark.slow
def test_copies_score_as_one_does(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    questions, steps = solutions()
    expected = open_scorer(base, max_length=36).score(questions, steps)
    caplog.clear()
    copies = CopiedScorer(
        base,
        ScoringSettings(num_copies=2),
        kind="process",
        template="plain",
        max_length=36,
        devices=("cpu", "cpu"),
    )
    with closing(copies):
        found = copies.score(questions, steps)
        assert copies.score([], []) == []
    [message] = warnings_of(caplog)
    assert "past max_length 36 and unscored" in message
    for scores, reference in zip(found, expected, strict=True):
        assert scores == pytest.approx(reference, abs=1e-5)
    missing = CopiedScorer(
        base / "none",
        ScoringSettings(),
        kind="process",
        template="plain",
        max_length=36,
        devices=("cpu",),
    )
    with closing(missing), pytest.raises(ValueError, match="no checkpoint that can be read"):
        missing.score(questions, steps)


def test_nothing_to_score_has_no_scores(base: Path) -> None:
    scorer = open_scorer(base)
    assert scorer.score([], []) == []
    assert scorer.score(["How many?"], [[]]) == [[]]


def test_a_window_shorter_than_the_texts_is_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, "mistral", build_tokenizer(), sliding_window=16)
    with pytest.raises(ValueError, match=r"attends to 16 tokens.*lower max_length"):
        open_scorer(folder)


SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), max_size=12)


@settings(derandomize=True, deadline=None)
@given(SEQUENCES, st.integers(1, 20))
def test_packs_hold_each_prefix_once_and_tokens_see_their_own_sequence(
    sequences: list[list[int]], max_tokens: int
) -> None:
    packs = list(pack_sequences(sequences, max_tokens))
    assert sorted(index for pack in packs for index in pack.paths) == list(range(len(sequences)))
    for pack in packs:
        packed = [sequences[index] for index in pack.paths]
        prefixes = {tuple(ids[:end]) for ids in packed for end in range(1, len(ids) + 1)}
        assert len(pack.ids) == len(prefixes)
        assert len(pack.ids) <= max(max_tokens, *(len(ids) for ids in packed))
        sees = pack.attention_mask(torch.device("cpu")).numpy()
        for index, path in pack.paths.items():
            assert pack.ids[path].tolist() == sequences[index]
            assert pack.positions[path].tolist() == list(range(len(path)))
            for place, token in enumerate(path):
                assert np.flatnonzero(sees[token]).tolist() == path[: place + 1].tolist()


def test_a_padded_pack_attends_as_before_and_its_padding_to_itself() -> None:
    [pack] = pack_sequences([[1, 2, 3], [1, 2, 4, 5], [1, 6]], max_tokens=100)
    mask = pack.attention_mask(torch.device("cpu"))
    padded = pack.padded(10)
    found = padded.attention_mask(torch.device("cpu"))
    count = len(pack.ids)
    assert found.shape == (10, 10)
    assert found[:count, :count].equal(mask)
    assert found[count:].equal(torch.eye(10, dtype=torch.bool)[count:])
    assert not found[:count, count:].any()


def test_encoding_together_is_encoding_one_by_one() -> None:
    tokenizer = build_tokenizer()
    tags = Tags.of(tokenizer)
    questions, steps = solutions()
    cases = [*zip(questions, steps, strict=True), ("Tom has 3 pens.", [])]
    for max_length in (40, MAX_LENGTH):
        together = encode_all(
            tokenizer, tags, [q for q, _ in cases], [texts for _, texts in cases], max_length
        )
        assert together == [
            encode_tagged(tokenizer, tags, question, texts, [0.0] * len(texts), max_length)
            for question, texts in cases
        ]
