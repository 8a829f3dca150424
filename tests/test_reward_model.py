"""Tags stand where equation 2 needs them, and losses equal their formulas."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.settings import TrainingSettings
from shepherd.word_problems import draw_problem, write_solution
from training.packing import IGNORED, Batch, Example, next_tokens, pack
from training.prm import process_loss
from training.reward_model import reward_loss
from training.step_tags import Tags, encode_tagged, rewards_at_tags
from training.tokenizer import build_tokenizer

TOKENIZER = build_tokenizer()
TAGS = Tags.of(TOKENIZER)


def steps_of(seed: int) -> tuple[str, list[str]]:
    rng = random.Random(seed)
    problem = draw_problem(rng, 2 + seed % 4)
    steps = write_solution(problem, rng).split("\n")
    return problem.question + "\n", [s + "\n" for s in steps[:-2]] + ["\n".join(steps[-2:])]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(20, 200))
def test_labels_and_tags_agree_in_number_at_every_length(seed: int, max_length: int) -> None:
    prompt, steps = steps_of(seed)
    labels = [float(index % 2) for index in range(len(steps))]
    example = encode_tagged(TOKENIZER, TAGS, prompt, steps, labels, max_length)
    assert [example.ids[place] for place in example.tags] == [TAGS.tag] * len(example.labels)
    assert example.ids.count(TAGS.tag) == len(example.labels)
    assert example.labels == labels[: len(example.labels)]
    if len(example.labels) < len(steps):
        assert max_length < 200
    without_tags = [token for token in example.ids if token != TAGS.tag]
    kept = prompt + "".join(steps[: len(example.labels)])
    assert TOKENIZER.decode(without_tags, skip_special_tokens=True) == kept


def test_a_tag_stands_before_the_newline_and_good_steps_stay_text_to_predict() -> None:
    steps = ["Step 1: 3 + 4 = 7.\n", "Step 2: 7 * 2 = 15.\nThe answer is: 15"]
    labels = [1 + 1e-7, -1e-7]
    example = encode_tagged(TOKENIZER, TAGS, "Tom has 3 pens.\n", steps, labels, 100)
    assert example.labels == [1.0, 0.0]
    tokens = TOKENIZER.convert_ids_to_tokens(example.ids)
    assert tokens[example.tags[0] - 1 : example.tags[0] + 2] == [".", " ки", "\n"]
    assert example.tags[1] == len(tokens) - 1
    predicted = [TOKENIZER.decode([t]) for t in example.targets if t != IGNORED]
    assert "".join(predicted) == "Step 1: 3 + 4 = 7."


def test_an_example_with_more_labels_than_tags_cannot_be_made() -> None:
    with pytest.raises(AssertionError, match="labels and step tags differ"):
        Example([1, 2], [IGNORED, IGNORED], tags=[1], labels=[1.0, 0.0])


def test_a_tokenizer_without_the_tag_is_refused() -> None:
    class Blank:
        unk_token_id = 3

        def encode(self, text: str, add_special_tokens: bool) -> list[int]:
            return [3]

    with pytest.raises(ValueError, match="no token for ' ки'"):
        Tags.of(Blank())  # type: ignore[arg-type]


TAGGED = pack(
    [
        Example([1, TAGS.tag, 2, TAGS.tag], [IGNORED] * 4, [1, 3], [1.0, 0.25]),
        Example([1, TAGS.tag], [IGNORED] * 2, [1], [1.0]),
    ]
)
"""Three tags, one of them with a soft label."""


@pytest.mark.parametrize("head", ["tokens", "scalar"])
@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_the_loss_is_equation_two(head: str, loss: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, len(TOKENIZER) if head == "tokens" else 1)
    expected = []
    for row, label in enumerate((1, 0.25, 1)):
        if head == "tokens":
            good, bad = (math.exp(logits[row, token]) for token in (TAGS.good, TAGS.bad))
            probability = good / (good + bad)
        else:
            probability = 1 / (1 + math.exp(-logits[row, 0]))
        if loss == "bce":
            expected.append(-label * math.log(probability))
            expected[-1] -= (1 - label) * math.log(1 - probability)
        else:
            expected.append((probability - label) ** 2)
    assert rewards_at_tags(logits, TAGGED, TAGS).shape == (3,)
    found = reward_loss(
        logits,
        TAGGED,
        TAGS,
        TrainingSettings(head=head, loss=loss),  # type: ignore[arg-type]
        process_loss,
    )
    assert found.item() == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_the_language_model_loss_is_added_with_its_weight() -> None:
    counted = Example(
        [1, 5, TAGS.tag], next_tokens([1, 5, TAGS.tag], [False, True, False]), [2], [1.0]
    )
    batch: Batch = pack([counted])
    assert batch.places.tolist() == [0, 2]
    torch.manual_seed(0)
    logits = torch.randn(2, len(TOKENIZER))
    lone, both = (
        reward_loss(logits, batch, TAGS, TrainingSettings(lm_weight=weight), process_loss)
        for weight in (0.0, 0.5)
    )
    text = torch.nn.functional.cross_entropy(logits[:1], torch.tensor([5]))
    assert both.item() == pytest.approx(lone.item() + 0.5 * text.item(), rel=1e-5)
