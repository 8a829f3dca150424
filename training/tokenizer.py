"""Build the tokenizer of the small models: lossless, one token a word and a number."""

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from shepherd.word_problems import ITEMS, MAX_VALUE, NAMES, PHRASES
from training.step_tags import BAD, GOOD, TAG_TEXT

PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
CHECK, RIGHT, WRONG = " ?", " right", " wrong"
"""The question after a step in the pretraining corpus, and its two verdicts."""

_PIECE = r"\n| ?[A-Za-zА-я]+| ?[0-9]+| ?[^\sA-Za-zА-я0-9]|\s"
_LEADS = "Step There are Together they have has The answer is: = + - * . ?"


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer for which ``decode(encode(text))`` equals the text.

    Tokens include their leading space. So a prefix and its continuation have the tokens of the
    joined text if the cut is before a space or after a newline.
    """
    text = " ".join([_LEADS, *NAMES, *ITEMS, *(p for kind in PHRASES.values() for p in kind)])
    words = sorted(set(re.findall(r"[A-Za-z]+|[^\sA-Za-z0-9{}]", text)) - {"n", "m"})
    numbers = [str(number) for number in range(2 * MAX_VALUE)]
    pieces = ["\n", *(" " + word for word in words), *words, *(" " + n for n in numbers)]
    extra = [TAG_TEXT, GOOD, BAD, CHECK, RIGHT, WRONG]
    vocabulary = list(dict.fromkeys([PAD, BOS, EOS, UNK, *extra, *pieces]))
    tokenizer = Tokenizer(
        models.WordLevel({piece: i for i, piece in enumerate(vocabulary)}, unk_token=UNK)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), behavior="isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary.index(BOS))]
    )
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS, unk_token=UNK
    )
