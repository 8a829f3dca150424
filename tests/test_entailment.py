"""Entailment checkpoints: which label counts, batches, and the small one that is trained here."""

import random
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from resources.entailment import EntailmentModel, batches_by_length, entailment_index
from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problems, write_solution
from training.nli import LABELS, claims, draw_pairs, train_nli

FAST = TrainingSettings(epochs=1, learning_rate=3e-3, batch_size=16, max_length=64)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nli")
    report = train_nli(base, draw_pairs(160, seed=0), path, FAST, seed=0)
    assert (report.num_examples, report.num_steps, report.num_cut) == (160, 10, 0)
    return path


PAIRS = [
    ("Step 1: 3 + 4 = 7.", "Step 1: Tom has 4 + 3 = 7 apples."),
    ("Step 2: 7 - 2 = 5.\nThe answer is: 5", "Step 2: 7 - 2 = 5."),
    ("Step 2: 7 - 2 = 5.", "Step 2: Ann has 7 - 3 = 4 coins.\nThe answer is: 4"),
    ("5", "Step 1: 3 * 5 = 15."),
]


@pytest.mark.parametrize(
    ("labels", "index"),
    [
        (["CONTRADICTION", "NEUTRAL", "ENTAILMENT"], 2),  # roberta-large-mnli
        (["contradiction", "neutral", "entailment"], 2),  # bart-large-mnli
        (["entailment", "not_entailment"], 0),  # GLUE's two classes
        (list(LABELS), 1),
    ],
)
def test_the_label_is_read_from_the_config(labels: list[str], index: int) -> None:
    assert entailment_index("model", dict(enumerate(labels))) == index


@pytest.mark.parametrize("labels", [["LABEL_0", "LABEL_1"], ["Entailment", "entailment"], []])
def test_a_checkpoint_that_does_not_say_what_entailment_is_is_refused(labels: list[str]) -> None:
    with pytest.raises(ValueError, match=r"some/model: \d of its labels .*roberta-large-mnli"):
        entailment_index("some/model", dict(enumerate(labels)))


def test_a_language_model_is_no_entailment_model(base: Path) -> None:
    with pytest.raises(ValueError, match=r"0 of its labels \(LABEL_0, LABEL_1\)"):
        EntailmentModel(base)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 200))
def test_batches_hold_every_pair_once_within_the_limit(lengths: list[int], limit: int) -> None:
    batches = list(batches_by_length(lengths, limit))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= limit


def test_batched_probabilities_equal_those_of_single_pairs(trained: Path) -> None:
    model = EntailmentModel(trained, device="cpu", batch_tokens=64)
    single = [model([pair])[0] for pair in PAIRS]
    assert model(PAIRS) == pytest.approx(single, abs=1e-5)
    assert model(PAIRS[::-1]) == pytest.approx(single[::-1], abs=1e-5)
    assert all(0 < share < 1 for share in single)
    assert model([]) == []


def test_a_pair_that_is_too_long_is_cut(trained: Path) -> None:
    model = EntailmentModel(trained, device="cpu")
    assert len(model([("Tom has 3 + 4 = 7 apples." * 100, "Step 1: 3 + 4 = 7.")])) == 1


def test_any_sequence_classifier_answers(trained: Path, tmp_path: Path) -> None:
    """A bidirectional encoder with three classes, as the published ones are."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    labels = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
    )
    encoder = BertForSequenceClassification(config).eval()
    encoder.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ids = torch.tensor([tokenizer(*PAIRS[0])["input_ids"]])
    expected = encoder(ids).logits.softmax(-1)[0, 2].item()
    assert EntailmentModel(tmp_path, device="cpu")(PAIRS[:2])[0] == pytest.approx(
        expected, abs=1e-5
    )


def test_the_trained_checkpoint_names_its_labels_and_tells_texts_apart(trained: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained)
    first, second = tokenizer(" 2", " 3")["input_ids"], tokenizer(" 3", " 2")["input_ids"]
    assert first != second
    assert first[-1] == tokenizer.eos_token_id
    assert EntailmentModel(trained, device="cpu").entailment == 1


def test_training_learns_from_the_pairs(base: Path, tmp_path: Path) -> None:
    pairs = draw_pairs(32, seed=0)
    report = train_nli(base, pairs, tmp_path, FAST.model_copy(update={"epochs": 30}), seed=0)
    assert report.losses[-1] < 0.3 < report.losses[0]


@pytest.mark.parametrize(
    ("premise", "hypothesis", "entails"),
    [
        ("Step 1: Tom has 3 + 4 = 7 apples.", "Step 2: 4 + 3 = 7.", True),
        ("Step 1: 3 * 4 = 12.", "Step 1: 4 * 3 = 12.", True),
        ("Step 1: 4 - 3 = 1.", "Step 1: 3 - 4 = 1.", False),
        ("Step 1: 3 + 4 = 7.", "Step 1: 3 + 4 = 8.", False),
        ("Step 1: 3 + 4 = 7.", "Step 1: 3 * 4 = 7.", False),
        ("1 + 1 = 2.\nThe answer is: 2", "1 + 1 = 2.", True),
        ("1 + 1 = 2.", "1 + 1 = 2.\nThe answer is: 2", False),
        ("1 + 1 = 2.\nThe answer is: 2", "1 + 1 = 2.\nThe answer is: 3", False),
    ],
)
def test_a_step_entails_what_claims_no_more(premise: str, hypothesis: str, entails: bool) -> None:
    assert (claims(hypothesis) <= claims(premise)) is entails


def test_two_ways_to_write_a_right_solution_entail_each_other() -> None:
    rng = random.Random(0)
    for problem in draw_problems(0, "train", 20):
        first, second = (write_solution(problem, rng).split("\n") for _ in range(2))
        for one, other in zip(first, second, strict=True):
            assert claims(one) == claims(other)


def test_pairs_are_balanced_distinct_texts_and_those_of_the_seed() -> None:
    pairs = draw_pairs(600, seed=3)
    assert pairs.height == 600
    assert pairs["entails"].mean() == pytest.approx(0.5, abs=0.05)
    assert (pairs["premise"] != pairs["hypothesis"]).all()
    assert pairs.equals(draw_pairs(600, seed=3))
    assert not pairs.equals(draw_pairs(600, seed=4))
