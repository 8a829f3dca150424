"""Published reward models score as the code of their model cards does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_prms import (
    FORMATS,
    LLAMA_TEMPLATE,
    PLACE,
    QWEN_TEMPLATE,
    byte_tokenizer,
    differences,
    rows,
)
from tiny_checkpoint import save_checkpoint
from tokenizers import Tokenizer, models, normalizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from shepherd.reward_formats import PUBLISHED, RewardFormat, format_by_name
from training.scoring import Scorer
from training.scoring.encoders import MathShepherdEncoder, encoder_of
from training.tokenizer import build_tokenizer

TOLERANCE = 1e-4


def save(reward_format: str, root: Path) -> Path:
    """Save a checkpoint of a format where it is found by itself."""
    folder = root / PLACE[reward_format]
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FORMATS[reward_format][0](folder)


@pytest.mark.parametrize("reward_format", FORMATS)
def test_a_published_format_is_found_and_scores_as_its_card_does(
    reward_format: str, tmp_path: Path
) -> None:
    folder = save(reward_format, tmp_path)
    expected = FORMATS[reward_format][1](folder)
    scorer = Scorer(folder, kind="process", template="chat", dtype=torch.float32)
    assert scorer.format == reward_format
    assert scorer.max_length == 512
    found = scorer.score(*rows())
    assert np.ptp(np.concatenate(expected)) > 0.02
    assert max(differences(found, expected)) < TOLERANCE


# The prompts of the model cards, in which tokens of their own are in their own words.
PROMPTS = {
    "extra_token": (
        "<|im_start|>system\n"
        "Please reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
        "<|im_start|>user\nHow many?<|im_end|>\n"
        "<|im_start|>assistant\nOne: 1.<extra_0>Two: 2.\nSo 3.<extra_0>"
    ),
    "chat_turns": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHow many? One: 1.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n+<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nTwo: 2.\nSo 3.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "value_head": "<|endoftext|>How many?\nOne: 1.\nTwo: 2.\nSo 3.\n",
}
BEFORE_SCORES = {
    "extra_token": ["One: 1.<extra_0>", "Two: 2.\nSo 3.<extra_0>"],
    "chat_turns": ["assistant<|end_header_id|>\n\n"] * 2,
    "value_head": ["One: 1.\n", "So 3.\n"],
}
"""The end of the text up to each place of a score."""


@pytest.mark.parametrize("reward_format", PROMPTS)
def test_a_prompt_is_that_of_the_card(reward_format: RewardFormat) -> None:
    is_llama = reward_format == "chat_turns"
    kinds = ("llama", LLAMA_TEMPLATE) if is_llama else ("qwen", QWEN_TEMPLATE)
    tokenizer = byte_tokenizer(*kinds)
    encoder = encoder_of(reward_format, tokenizer, "model", "plain")
    [encoded] = encoder.encode(["How many?"], [["One: 1.\n", "Two: 2.\nSo 3.\n"]], 999)
    assert tokenizer.decode(encoded.ids) == PROMPTS[reward_format]
    # The lines of Skywork's format are encoded one by one, the other texts as a whole.
    if reward_format != "value_head":
        whole = tokenizer.encode(PROMPTS[reward_format], add_special_tokens=False)
        assert encoded.ids == whole
    ends = [tokenizer.decode(encoded.ids[: place + 1]) for place in encoded.places]
    for end, expected in zip(ends, BEFORE_SCORES[reward_format], strict=True):
        assert end.endswith(expected)
    labels = list(encoder.labels or ())
    assert tokenizer.convert_ids_to_tokens(labels) == (["+", "-"] if is_llama else [])


def mistral_tokenizer() -> tuple[PreTrainedTokenizerFast, object]:
    """Return Mistral 7B's own tokenizer for transformers, and SentencePiece's."""
    sentencepiece = pytest.importorskip("sentencepiece")
    package = pytest.importorskip("mistral_common")
    path = Path(package.__file__).parent / "data" / "tokenizer.model.v1"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
    names = [pieces.id_to_piece(index) for index in range(pieces.get_piece_size())]
    ids = {name: index for index, name in enumerate(names)}
    merges = [
        (pieces.get_score(index), name[:cut], name[cut:])
        for index, name in enumerate(names)
        for cut in range(1, len(name))
        if name[:cut] in ids and name[cut:] in ids and not name.startswith("<")
    ]
    merges.sort(key=lambda merge: (-merge[0], ids[merge[1]], ids[merge[2]]))
    model = models.BPE(
        ids,
        [(left, right) for _, left, right in merges],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    return fast, pieces


def test_math_shepherds_tokens_are_those_of_its_card() -> None:
    """The card: tag 12902, candidate tokens [648, 387], and ``question step ки\\nstep ки``."""
    tokenizer, pieces = mistral_tokenizer()
    encoder = MathShepherdEncoder(tokenizer, "model")
    assert encoder.labels == (648, 387)
    question = "Janet\u2019s ducks lay 16 eggs per day. How much?"
    steps = ["Step 1: Janet's ducks lay 16 eggs per day.\n", "Step 2: She eats 3 + 4 - 1 = 6."]
    [encoded] = encoder.encode([question], [steps], 999)
    text = (
        "Janet\u2019s ducks lay 16 eggs per day. How much? Step 1: Janet's ducks lay 16 eggs per "
        "day. \u043a\u0438\nStep 2: She eats 3 + 4 - 1 = 6. \u043a\u0438"
    )
    assert encoded.ids == [1, *pieces.encode(text)]  # type: ignore[attr-defined]
    tags = [index for index, token in enumerate(encoded.ids) if token == 12902]
    assert encoded.places == tags


@pytest.mark.parametrize("reward_format", FORMATS)
def test_steps_past_the_window_are_unscored_in_every_format(
    reward_format: str, tmp_path: Path
) -> None:
    folder = save(reward_format, tmp_path)
    questions, steps = rows()
    scorer = Scorer(folder, kind="process", template="plain")
    whole = scorer.score(questions, steps)
    lengths = set()
    for max_length in range(20, 200, 20):
        scorer.max_length = max_length
        for scores, all_scores in zip(scorer.score(questions, steps), whole, strict=True):
            read = [score for score in scores if score is not None]
            assert scores == [*read, *[None] * (len(scores) - len(read))]
            assert read == pytest.approx(all_scores[: len(read)], abs=1e-5)
            lengths.add(len(read))
    assert {0, 1, 2} <= lengths
    assert scorer.score([], []) == []
    assert scorer.score(["How many?"], [[]]) == [[]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_known_by_their_names(name: str) -> None:
    owner, short = name.split("/")
    expected = PUBLISHED[name]
    for model in (
        name,
        f"/models/{short}",
        f"hub/models--{owner}--{short}/snapshots/1",
        name.lower(),
    ):
        assert format_by_name(model) == expected
    assert format_by_name(f"{name}-mine") is None
    assert format_by_name("/models/prm") is None


def test_a_format_that_the_checkpoint_does_not_have_is_refused_in_one_line(tmp_path: Path) -> None:
    plain = save_checkpoint(tmp_path / "plain", "llama", build_tokenizer())
    for reward_format, reason in (
        ("value_head", r"no tensor v_head\.summary\.weight"),
        ("extra_token", r"no token <extra_0>"),
        ("chat_turns", "has no chat template"),
    ):
        with pytest.raises(ValueError, match=reason) as refused:
            Scorer(plain, kind="process", template="plain", format=reward_format)  # type: ignore[arg-type]
        assert "\n" not in str(refused.value)
    folder = save("extra_token", tmp_path)
    with pytest.raises(ValueError, match=r"no tensor v_head\.summary\.weight"):
        Scorer(folder, kind="process", template="plain", format="value_head")


def test_a_classifier_of_two_labels_without_a_step_token_is_refused(tmp_path: Path) -> None:
    """Its first output is no reward: TRL's classifiers have label 1 for a good step."""
    folder = save_checkpoint(tmp_path, "llama", build_tokenizer())
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["LlamaForTokenClassification"], "id2label": {"0": "a", "1": "b"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="a classifier of 2 labels, and its tokenizer has no"):
        Scorer(folder, kind="process", template="plain", max_length=50)


def test_a_chat_template_that_reads_the_clock_is_refused(tmp_path: Path) -> None:
    folder = save("chat_turns", tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for template, reason in (
        (
            LLAMA_TEMPLATE.replace("26 Jul 2024", "{{ strftime_now('%d %b %Y') }}"),
            "writes the date",
        ),
        ("{{ messages[0]['content'] }}{{ messages[2]['content'] }}", "all turns alike"),
        ("{{ raise_exception('no') }}", "its chat template fails"),
    ):
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder)
        with pytest.raises(ValueError, match=reason):
            Scorer(folder, kind="process", template="plain")
