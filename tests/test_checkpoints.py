"""Engines and trainers refuse damaged checkpoints, and run no code of theirs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from resources.checkpoints.loading import check_finite, load, load_tokenizer, load_weights
from resources.checkpoints.weight_files import check_weight_files
from resources.engines.transformers import TransformersEngine
from resources.storage.model_store import ModelStore, architecture_of
from shepherd.settings import TrainingSettings
from training.continuation import encode_continuation
from training.model_files import load_model
from training.reward_model import load_base
from training.runs import TrainingRun
from training.scoring import Scorer
from training.sft import encode, train_sft
from training.step_tags import Tags, encode_tagged

WEIGHTS = "model.safetensors"
Damage = Callable[[Path], object]


@pytest.fixture
def checkpoint(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "checkpoint"))


def set_fields(folder: Path, name: str, **fields: object) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | fields))


def change_tensors(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})


def half(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(list(tensors.items())[::2])


def filled(value: float, count: int) -> Callable[..., dict[str, torch.Tensor]]:
    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for tensor in list(tensors.values())[:count]:
            tensor.flatten()[0] = value
        return tensors

    return change


def cut(folder: Path, share: float, name: str = WEIGHTS) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def own_code(folder: Path, model_type: str) -> None:
    names = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    set_fields(folder, "config.json", auto_map=names, model_type=model_type)
    (folder / "own.py").write_text("raise SystemExit('this code must not run')")


DAMAGES: dict[str, tuple[Damage, str]] = {
    "half of the tensors": (
        lambda folder: change_tensors(folder, half),
        "tensors that its config.json asks for are missing or have another shape, first model.",
    ),
    "a layer too few": (
        lambda folder: set_fields(folder, "config.json", num_hidden_layers=3),
        "9 tensors that its config.json asks for are missing",
    ),
    "a layer too many": (
        lambda folder: set_fields(folder, "config.json", num_hidden_layers=1),
        "9 tensors have no place in the model of its config.json, first model.layers.1.",
    ),
    "other shapes": (
        lambda folder: set_fields(folder, "config.json", intermediate_size=64),
        "6 tensors that its config.json asks for are missing or have another shape",
    ),
    "a surplus bias": (
        lambda folder: change_tensors(
            folder, lambda all: {**all, "model.layers.0.mlp.up_proj.bias": torch.zeros(96)}
        ),
        "1 tensors have no place in the model",
    ),
    "an untied head": (
        lambda folder: set_fields(folder, "config.json", tie_word_embeddings=False),
        "first lm_head.weight",
    ),
    "one NaN": (lambda folder: change_tensors(folder, filled(float("nan"), 1)), "are not finite"),
    "infinity": (lambda folder: change_tensors(folder, filled(-float("inf"), 9)), "not finite"),
    "half of the file": (lambda folder: cut(folder, 0.5), "incomplete metadata"),
    "no file": (lambda folder: cut(folder, 0), "header too small"),
    "another file": (lambda folder: (folder / WEIGHTS).write_text("x" * 99), "download it again"),
    "pickled weights": (pickled, r"its weights are pickled (pytorch_model.bin)"),
    "an unknown architecture": (
        lambda folder: own_code(folder, "own"),
        "only code of the checkpoint itself knows its architecture (auto_map)",
    ),
    "half of the config": (lambda folder: cut(folder, 0.5, "config.json"), "not a valid JSON"),
    "a config of text": (
        lambda folder: set_fields(folder, "config.json", hidden_size="x"),
        "hidden_size",
    ),
    "half of the tokenizer": (lambda folder: cut(folder, 0.5, "tokenizer.json"), "again ("),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "again ("),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(damage: str, checkpoint: Path) -> None:
    break_it, reason = DAMAGES[damage]
    break_it(checkpoint)
    for opened in (TransformersEngine, load_model):
        with pytest.raises(ValueError, match="checkpoint") as refused:
            opened(checkpoint)  # type: ignore[operator]
        message = str(refused.value)
        assert message.startswith(f"{checkpoint}: "), message
        assert reason in message
        assert "\n" not in message


IN_WEIGHTS = [name for name in DAMAGES if "config" not in name and "tokenizer" not in name]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("num_attention_heads", "head_dim") for value in (-1, 0)),
        *(("vocab_size", value) for value in (-1, 10**12)),
        *(("num_hidden_layers", value) for value in (-1, 0)),
        ("num_key_value_heads", 10**12),
        ("intermediate_size", -1),
        ("max_position_embeddings", 0),
        ("pad_token_id", 10**12),
    ],
)
def test_a_config_with_sizes_that_no_model_has_is_one_line(
    checkpoint: Path, field: str, value: int
) -> None:
    set_fields(checkpoint, "config.json", **{field: value})
    for load_again in (
        lambda: load_weights(AutoModelForCausalLM, checkpoint),
        lambda: check_weight_files(checkpoint, load(AutoConfig, checkpoint)),
    ):
        with pytest.raises(
            ValueError, match=r"config\.json|no checkpoint that can be read"
        ) as caught:
            load_again()
        assert str(caught.value).startswith(f"{checkpoint}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", sorted({*IN_WEIGHTS} - {"an unknown architecture"}))
def test_weight_files_are_checked_for_engines_that_load_them(damage: str, checkpoint: Path) -> None:
    check_weight_files(checkpoint, load(AutoConfig, checkpoint))
    break_it, reason = DAMAGES[damage]
    break_it(checkpoint)
    config = load(AutoConfig, checkpoint)
    with pytest.raises(ValueError, match="checkpoint") as refused:
        check_weight_files(checkpoint, config)
    assert reason in str(refused.value)
    check_weight_files("owner/name", config)


def test_known_architectures_are_loaded_without_their_code(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_code(checkpoint, "llama")
    own = {"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}}
    set_fields(checkpoint, "tokenizer_config.json", **own)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asks on the terminal"))
    TransformersEngine(checkpoint).close()
    load_model(checkpoint)
    own_code(checkpoint, "own")
    with pytest.raises(ValueError, match="no such code is run"):
        load_model(checkpoint)


def test_a_new_head_may_be_missing_and_another_one_may_be_there(checkpoint: Path) -> None:
    settings = TrainingSettings(head="scalar")
    model, tokenizer = load_base(checkpoint, settings, seed=0)
    model.save_pretrained(checkpoint / "scalar")
    tokenizer.save_pretrained(checkpoint / "scalar")
    load_weights(AutoModelForCausalLM, checkpoint / "scalar")
    flags = {"kind": "process", "template": "plain", "max_length": 99}
    Scorer(checkpoint / "scalar", **flags)  # type: ignore[arg-type]
    change_tensors(
        checkpoint / "scalar",
        lambda all: {name: one for name, one in all.items() if "score" not in name},
    )
    with pytest.raises(ValueError, match="first score"):
        Scorer(checkpoint / "scalar", **flags)  # type: ignore[arg-type]
    change_tensors(checkpoint, half)
    with pytest.raises(ValueError, match=r"first model\."):
        load_base(checkpoint, settings, seed=0)
    with pytest.raises(ValueError, match=r"first model\."):
        load_weights(AutoModelForTokenClassification, checkpoint, has_new_head=True)


@pytest.mark.parametrize("lead", ["<s> ", ""])
def test_no_end_token_stands_between_prompt_and_continuation(checkpoint: Path, lead: str) -> None:
    plain = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{lead}$A </s>",
        special_tokens=[(token, plain.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")],
    )
    tokenizer.save_pretrained(checkpoint)
    prompt, steps = "Tom has 3 apples.\n", ["Step 1: 3 + 4 = 7."]
    assert AutoTokenizer.from_pretrained(checkpoint).encode(prompt)[-1] == plain.eos_token_id
    _, tokenizer = load_model(checkpoint)
    lead_ids = [plain.bos_token_id] if lead else []
    prompt_ids = [*lead_ids, *plain.encode(prompt, add_special_tokens=False)]
    tagged = encode_tagged(tokenizer, Tags.of(tokenizer), prompt, steps, [1.0], 99)
    assert plain.eos_token_id not in tagged.ids
    assert tagged.ids[: len(prompt_ids)] == prompt_ids
    assert encode_continuation(tokenizer, prompt, steps[0])[0] == prompt_ids
    assert list(encode(tokenizer, prompt, steps[0]).ids).count(plain.eos_token_id) == 1
    engine = TransformersEngine(checkpoint)
    assert engine._tokenizer.encode(prompt) == prompt_ids
    engine.close()
    tokenizer.save_pretrained(checkpoint)
    assert AutoTokenizer.from_pretrained(checkpoint).encode(prompt) == prompt_ids


def test_a_tokenizer_that_says_so_itself_is_opened(checkpoint: Path) -> None:
    set_fields(checkpoint, "tokenizer_config.json", add_eos_token=True, add_bos_token=True)
    tokenizer = load_tokenizer(checkpoint)
    assert tokenizer.encode("3")[0] == tokenizer.bos_token_id
    assert tokenizer.encode("3")[-1] != tokenizer.eos_token_id


def test_a_tokenizer_without_a_token_for_a_tag_is_refused() -> None:
    words = {"<unk>": 0, "+": 1, "-": 2}
    for model, names in (
        (models.WordLevel(words, unk_token="<unk>"), {"unk_token": "<unk>"}),
        # Without an unknown token, unknown text has no token at all.
        (models.BPE(words, []), {}),
    ):
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), **names)
        with pytest.raises(ValueError, match=r"^small: the tokenizer has no token for ' ки' alone"):
            Tags.of(tokenizer, "small")


def test_an_end_token_is_needed_to_write_solutions(checkpoint: Path, tmp_path: Path) -> None:
    set_fields(checkpoint, "tokenizer_config.json", eos_token=None)
    rows = pl.DataFrame({"question": ["?"], "solution": ["3"]})
    with pytest.raises(ValueError, match="names no end token"):
        train_sft(TrainingRun(checkpoint, rows, tmp_path / "out", TrainingSettings(), seed=0))


def test_a_changed_model_of_a_home_is_refused_by_its_path(base: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.save("weak", lambda out: shutil.copytree(base, out, dirs_exist_ok=True))
    with (store.link("weak") / WEIGHTS).open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"12345678")
    for opened in (TransformersEngine, load_model):
        for path in (store.link("weak"), store.link("weak").resolve()):
            with pytest.raises(ValueError, match="have changed since it was trained"):
                opened(path)  # type: ignore[operator]


def test_a_broken_config_is_named_where_memory_is_estimated(checkpoint: Path) -> None:
    assert architecture_of(checkpoint) is not None
    for content in ("{", "[]", '{"model_type": "llama"}'):
        (checkpoint / "config.json").write_text(content)
        with pytest.raises(ValueError, match=r"config\.json: is no config of a model"):
            architecture_of(checkpoint)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float4_e2m1fn_x2])
def test_values_of_one_byte_are_checked(dtype: torch.dtype) -> None:
    check_finite([("w", torch.ones(4, dtype=torch.uint8).view(dtype))], "m")
    if "float8" in str(dtype):
        with pytest.raises(ValueError, match="m: w holds values that are not finite"):
            check_finite([("w", torch.tensor([1.0, float("nan")]).to(dtype))], "m")


def test_a_sequence_classifier_is_a_reward_model_without_a_bias(checkpoint: Path) -> None:
    config = AutoConfig.from_pretrained(checkpoint, num_labels=1)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(checkpoint)
    model = load_weights(AutoModelForTokenClassification, checkpoint, num_labels=1)
    assert not model.get_parameter("score.bias").any()
    assert model.get_parameter("score.weight").any()


def test_scales_of_a_quantized_cache_are_no_surplus(checkpoint: Path) -> None:
    attention, scale = "model.layers.0.self_attn", torch.ones(1)
    change_tensors(checkpoint, lambda all: {**all, f"{attention}.k_proj.k_scale": scale})
    load_weights(AutoModelForCausalLM, checkpoint)
    check_weight_files(checkpoint, load(AutoConfig, checkpoint))
    # Without their scale, quantized weights are wrong; vLLM reads this file of ModelOpt.
    change_tensors(checkpoint, lambda all: {**all, f"{attention}.k_proj.weight_scale": scale})
    with pytest.raises(ValueError, match=r"first .*\.weight_scale"):
        check_weight_files(checkpoint, load(AutoConfig, checkpoint))
    (checkpoint / "hf_quant_config.json").write_text("{}")
    check_weight_files(checkpoint, load(AutoConfig, checkpoint))
    with pytest.raises(ValueError, match=r"first .*\.weight_scale"):
        load_weights(AutoModelForCausalLM, checkpoint)
