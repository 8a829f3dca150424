"""vLLM's pooling gives the scores of the embedded reward models, on the CPU."""

from pathlib import Path

import pytest
import torch
from published_prms import FORMATS, PLACE, differences, rows
from tiny_checkpoint import save_checkpoint
from transformers import AutoModelForTokenClassification
from vllm_setup import ENVIRONMENT, needs_vllm

from resources import engines
from shepherd.settings import ScoringSettings, VllmSettings
from training.scoring import Scorer, open_scorer
from training.tokenizer import build_tokenizer

pytestmark = pytest.mark.slow

# The smallest heads that vLLM's attention takes on a CPU.
SHAPE = {"hidden_size": 64, "head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}
VLLM = VllmSettings(enforce_eager=True)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}.items():
        monkeypatch.setenv(name, value)


@needs_vllm
@pytest.mark.parametrize("reward_format", FORMATS)
def test_pooling_scores_as_the_card_does(reward_format: str, tmp_path: Path) -> None:
    folder = tmp_path / PLACE[reward_format]
    folder.parent.mkdir(parents=True, exist_ok=True)
    save, plain = FORMATS[reward_format]
    save(folder, **SHAPE)
    expected = plain(folder)
    settings = ScoringSettings(engine="vllm", vllm=VLLM)
    scorer = open_scorer(folder, settings, kind="process", template="plain", max_length=None)
    questions, steps = rows()
    found = scorer.score([*questions, "How many?"], [*steps, []])
    scorer.close()
    assert found.pop() == []
    assert max(differences(found, expected)) < 1e-4


@needs_vllm
def test_a_model_that_was_trained_here_scores_as_without_vllm(tmp_path: Path) -> None:
    """A scalar head, and the steps past the window."""
    source = save_checkpoint(tmp_path / "lm", "llama", build_tokenizer(), **SHAPE)
    folder = tmp_path / "prm"
    AutoModelForTokenClassification.from_pretrained(source, num_labels=1).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    questions = ["Tom has 3 pens."] * 2
    steps = [["Step 1: 3 + 4 = 7.\n", "Step 2: 7 * 2 = 14."], ["Step 1: 3 + 4 = 8.\n"] * 9]
    options = {"kind": "process", "template": "plain", "max_length": 60, "dtype": torch.float32}
    expected = Scorer(folder, **options).score(questions, steps)  # type: ignore[arg-type]
    scorer = Scorer(folder, **options, vllm=VLLM)  # type: ignore[arg-type]
    found = scorer.score(questions, steps)
    scorer.close()
    assert found[1][-1] is None
    for scores, reference in zip(found, expected, strict=True):
        assert scores == pytest.approx(reference, abs=1e-4)


@needs_vllm
def test_an_architecture_without_a_trunk_is_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, "gpt_neox", build_tokenizer())
    with pytest.raises(ValueError, match=r"knows llama, mistral, qwen2, not gpt_neox") as refused:
        Scorer(folder, kind="process", template="plain", max_length=60, vllm=VLLM)
    assert "\n" not in str(refused.value)


def test_vllm_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    folder = save_checkpoint(tmp_path, "llama", build_tokenizer())
    with pytest.raises(
        ValueError, match=r"scoring\.engine vllm: vLLM is not installed: .*\[vllm\]"
    ):
        Scorer(folder, kind="process", template="plain", max_length=60, vllm=VLLM)
