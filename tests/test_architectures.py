"""The designs of the paper's models, small and random, with tokenizers of their kinds.

Each writes solutions, is fine-tuned, becomes both reward models, scores, and runs in vLLM.
"""

import random
from contextlib import closing
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from blocks import add, drain
from tiny_checkpoint import rollouts, save_checkpoint
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from resources.engines import open_engine
from resources.storage.model_store import architecture_of
from shepherd.requests import Completion
from shepherd.settings import EngineSettings, TrainingSettings, VllmSettings
from shepherd.splitting import split_steps
from shepherd.word_problems import draw_problems, write_solution
from training.orm import train_orm
from training.prm import train_prm
from training.runs import TrainingRun
from training.scoring import score_solutions
from training.sft import train_sft
from training.step_tags import TAG_TEXT, Tags

WINDOW = 512
SPECIAL = ["<unk>", "<s>", "</s>"]
MHA, GQA = {"num_key_value_heads": 4}, {"num_key_value_heads": 2}
DESIGNS = {
    "LLaMA2-7B": ("llama", "sentencepiece", MHA),
    "LLaMA2-70B": ("llama", "sentencepiece", GQA),
    "LLemma-34B": (
        "llama",
        "sentencepiece",
        {**GQA, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
    ),
    # As long a window as an example may be in training; the engines' tests try shorter ones.
    "Mistral-7B": ("mistral", "sentencepiece", {**GQA, "sliding_window": 256}),
    "DeepSeek-67B": ("llama", "bytes", GQA),
}
"""Kind of transformers, tokenizer, and fields of the config. LLaMA2-13B and LLemma-7B are as
LLaMA2-7B."""

ONCE = TrainingSettings(epochs=1, learning_rate=1e-3, batch_size=4, max_length=256)
SOLVED = [
    (problem.question, write_solution(problem, random.Random(index)))
    for index, problem in enumerate(draw_problems(0, "train", 8))
]


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    """Train a small tokenizer as LLaMA's: BPE on words that carry their space as "▁", with a
    token for each byte; or as DeepSeek's: BPE on bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=kind == "sentencepiece"))
    if kind == "sentencepiece":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        alphabet, special = [], [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet, special = pre_tokenizers.ByteLevel.alphabet(), SPECIAL
    corpus = [text for pair in SOLVED for text in pair] + [f"1 + 1 - 1{TAG_TEXT}"] * 8
    trainer = BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", SPECIAL.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture(scope="module", params=DESIGNS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind, tokenizer, fields = DESIGNS[request.param]
    # The smallest heads that vLLM's attention takes on a CPU.
    shape = {"hidden_size": 128, "head_dim": 32, "max_position_embeddings": WINDOW, **fields}
    return save_checkpoint(tmp_path_factory.mktemp("model"), kind, tokenizer_of(tokenizer), **shape)


@pytest.fixture(scope="module")
def written(checkpoint: Path) -> dict[str, Completion]:
    """Greedy completions by the embedded engine."""
    settings = EngineSettings(batch_size=8, dtype="float32", device="cpu")
    with closing(open_engine(settings, checkpoint)) as engine:
        add(engine, rollouts(temperature=0.0))
        return drain(engine)


def labelled() -> pl.DataFrame:
    """Solutions with steps, of which every other one is wrong throughout."""
    rows = []
    for index, (question, solution) in enumerate(SOLVED):
        steps, right = split_steps(solution), index % 2 == 0
        rows.append((f"{index}", question, solution, steps, [float(right)] * len(steps)))
    names = ["candidate_id", "question", "solution", "steps", "labels"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_it_writes_what_transformers_writes(
    checkpoint: Path, written: dict[str, Completion]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    for request in rollouts(temperature=0.0, count=1):
        ids = tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        made = model.generate(ids, max_new_tokens=request.max_tokens, do_sample=False)[0]
        start = tokenizer.decode(ids[0], skip_special_tokens=True)
        whole = tokenizer.decode(made, skip_special_tokens=True)
        completion = written[request.id]
        assert completion.prompt_tokens == ids.shape[1]
        assert start + completion.text == whole


def test_it_is_fine_tuned_and_becomes_reward_models_that_score(
    checkpoint: Path, tmp_path: Path
) -> None:
    rows = labelled()
    tuned = tmp_path / "sft"
    sft = train_sft(TrainingRun(checkpoint, rows, tuned, ONCE, template="metamath", seed=0))
    whole = rows.with_columns(
        steps=pl.concat_list("solution"), labels=pl.col("labels").list.head(1)
    )
    orm = train_orm(TrainingRun(tuned, whole, tmp_path / "orm", ONCE, template="metamath", seed=0))
    prm = train_prm(TrainingRun(tuned, rows, tmp_path / "prm", ONCE, template="metamath", seed=0))
    for report in (sft, orm, prm):
        assert (report.num_examples, report.num_cut, len(report.losses)) == (len(SOLVED), 0, 2)
    num_steps = rows["steps"].list.len().to_list()
    for kind, folder, lengths in (
        ("outcome", "orm", [1] * len(SOLVED)),
        ("process", "prm", num_steps),
    ):
        before, after = (
            score_solutions(model, rows, kind=kind, template="metamath", max_length=256)
            for model in (tuned, tmp_path / folder)
        )
        scores = after["step_scores"]
        assert scores.list.len().to_list() == lengths
        assert scores.explode().is_between(0, 1, closed="none").all()
        assert scores.to_list() != before["step_scores"].to_list()


def test_its_tokenizer_knows_the_tag_and_its_dimensions_are_read(checkpoint: Path) -> None:
    tags = Tags.of(AutoTokenizer.from_pretrained(checkpoint))
    assert len({tags.tag, tags.good, tags.bad}) == 3
    found = architecture_of(checkpoint)
    assert found is not None
    config = AutoConfig.from_pretrained(checkpoint)
    assert asdict(found) == {name: getattr(config, name) for name in asdict(found)}


@pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed: make test installs its CPU build"
)
def test_vllm_writes_the_same(
    checkpoint: Path, written: dict[str, Completion], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }.items():
        monkeypatch.setenv(name, value)
    settings = EngineSettings(
        kind="vllm", batch_size=8, dtype="float32", vllm=VllmSettings(enforce_eager=True)
    )
    with closing(open_engine(settings, checkpoint)) as engine:
        add(engine, rollouts(temperature=0.0))
        completions = drain(engine)
    assert completions.keys() == written.keys()
    for name, expected in written.items():
        drawn = completions[name]
        assert drawn.num_tokens == expected.num_tokens
        # vLLM holds back the last tokens where their bytes are no whole character yet.
        whole = not expected.text.endswith("\ufffd")
        assert drawn.text == expected.text if whole else expected.text.startswith(drawn.text)
