"""Small random checkpoints of the paper's designs, with tokenizers of their kinds."""

import random
from contextlib import closing
from pathlib import Path

from blocks import add, drain
from tiny_checkpoint import rollouts, save_checkpoint
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from resources.engines import open_engine
from shepherd.requests import Completion
from shepherd.settings import EngineSettings
from shepherd.word_problems import draw_problems, write_solution
from training.step_tags import TAG_TEXT

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


def save_design(folder: Path, name: str) -> Path:
    """Save a random model of a design, with the smallest heads that vLLM takes on a CPU."""
    kind, tokenizer, fields = DESIGNS[name]
    shape = {"hidden_size": 128, "head_dim": 32, "max_position_embeddings": WINDOW, **fields}
    return save_checkpoint(folder, kind, tokenizer_of(tokenizer), **shape)


def greedy_completions(checkpoint: Path) -> dict[str, Completion]:
    """Draw greedily with the embedded engine."""
    settings = EngineSettings(batch_size=32, dtype="float32", device="cpu")
    with closing(open_engine(settings, checkpoint)) as engine:
        add(engine, rollouts(temperature=0.0))
        return drain(engine)
