"""Small random checkpoints of the four published formats, and a plain scorer of each.

The plain scorers are independent of the project: they follow the code on the model cards, one
forward pass for each solution or step, and take the softmax or sigmoid that the card takes.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from designs import tokenizer_of
from safetensors.torch import save_file
from tiny_checkpoint import SHAPE
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Model,
)

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How the tokenizers of Llama 3 and Qwen2.5 split texts before they merge bytes."""

LLAMA_TEMPLATE = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
)
"""What Llama 3.1's chat template writes for a conversation without tools."""

QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
)
"""What Qwen2.5's chat template writes for a conversation that begins with a system prompt."""

SPECIAL = {
    "llama": ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    "qwen": ("<|endoftext|>", "<|im_end|>", "<|im_start|>", "<extra_0>"),
}

QUESTIONS = (
    "Janet\u2019s ducks lay 16 eggs per day.  She eats three. How many are left?",
    "Sue places 18 flamingos, and takes 6 back. How many stand there?",
)
SOLUTIONS: tuple[tuple[int, list[str]], ...] = (
    (0, ["Step 1: Janet's ducks lay 16 eggs.\n", "Step 2: 16 - 3 = 13.\n", "The answer is: 13"]),
    (0, ["Step 1: Janet's ducks lay 16 eggs.\n", "Step 2: 16 - 3 = 14.\nThe answer is: 14"]),
    (
        1,
        [
            "We begin with 18:\n\\[18 - 6 = 12\\]\n\n",
            "So \\boxed{12} + 0 \u043a\u0438\n\n",
            "12.",
        ],
    ),
    (1, ["12 <extra_0> 3.\n", "- + -1.\n", "It is 12.\n"]),
)
"""Solutions as the pipeline cuts them, with the question of each. Their steps hold what formats
write: several lines, blank lines, tags, and the words of labels."""

Scores = list[list[float]]


def byte_tokenizer(kind: str, template: str) -> PreTrainedTokenizerFast:
    """Train a small tokenizer of bytes, with the special tokens and the splits of its kind."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    start, end, *others = SPECIAL[kind]
    corpus = [*QUESTIONS, *(step for _, steps in SOLUTIONS for step in steps), "\n\n \u043a\u0438"]
    trainer = BpeTrainer(
        vocab_size=400,
        special_tokens=[start, end, *others],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, chat_template=template
    )


def _save(
    folder: Path,
    kind: str,
    tokenizer: PreTrainedTokenizerFast,
    architecture: str,
    head: dict[str, torch.Tensor],
    **fields: object,
) -> Path:
    """Save a random trunk and head as the published checkpoint stores them."""
    torch.manual_seed(0)
    shape = {**SHAPE, "hidden_size": 64, "max_position_embeddings": 512, **fields}
    config = AutoConfig.for_model(
        kind, **shape, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5)
    model.save_pretrained(folder)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if head and "v_head.summary.weight" not in head:
        del tensors["lm_head.weight"]
    save_file({**tensors, **head}, folder / "model.safetensors", {"format": "pt"})
    tokenizer.save_pretrained(folder)
    config_path = folder / "config.json"
    written = json.loads(config_path.read_text()) | {"architectures": [architecture]}
    if not architecture.endswith("CausalLM"):
        # The published checkpoints bring code of their own, which is never run.
        written["auto_map"] = {
            "AutoConfig": "modeling_own.OwnConfig",
            "AutoModel": f"modeling_own.{architecture}",
        }
        (folder / "modeling_own.py").write_text("raise SystemExit('code of a checkpoint is run')")
    config_path.write_text(json.dumps(written))
    return folder


def random_head(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    """Return random tensors whose scores are spread over 0 to 1."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def save_math_shepherd(folder: Path, **fields: object) -> Path:
    tokenizer = tokenizer_of("sentencepiece")
    return _save(folder, "mistral", tokenizer, "MistralForCausalLM", {}, **fields)


def save_extra_token(folder: Path, **fields: object) -> Path:
    size = int(str(fields.get("hidden_size", 64)))
    names = ("score.0.weight", "score.0.bias", "score.2.weight", "score.2.bias")
    tensors = random_head((size, size), (size,), (2, size), (2,))
    scales = (0.2, 0.2, 0.1, 0.0)
    scaled = [scale * tensor for scale, tensor in zip(scales, tensors, strict=True)]
    head = dict(zip(names, scaled, strict=True))
    tokenizer = byte_tokenizer("qwen", QWEN_TEMPLATE)
    return _save(folder, "qwen2", tokenizer, "Qwen2ForProcessRewardModel", head, **fields)


def save_chat_turns(folder: Path, **fields: object) -> Path:
    tokenizer = byte_tokenizer("llama", LLAMA_TEMPLATE)
    return _save(folder, "llama", tokenizer, "LlamaForCausalLM", {}, **fields)


def save_value_head(folder: Path, **fields: object) -> Path:
    size = int(str(fields.get("hidden_size", 64)))
    weight, bias = random_head((1, size), (1,))
    head = {"v_head.summary.weight": 0.2 * weight, "v_head.summary.bias": bias}
    tokenizer = byte_tokenizer("qwen", QWEN_TEMPLATE)
    return _save(folder, "qwen2", tokenizer, "Qwen2ForPrmModel", head, **fields)


def rows() -> tuple[list[str], list[list[str]]]:
    """Return the question and the steps of each solution."""
    return [QUESTIONS[index] for index, _ in SOLUTIONS], [steps for _, steps in SOLUTIONS]


def language_model(folder: Path) -> Callable[[list[int]], torch.Tensor]:
    """Return the function from token ids to logits, (tokens, vocabulary)."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def logits(ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = model(torch.tensor([ids])).logits[0]
        return found

    return logits


def trunk(folder: Path) -> Callable[[list[int]], torch.Tensor]:
    """Return the function from token ids to hidden states, (tokens, hidden), of a Qwen2."""
    model = Qwen2Model.from_pretrained(folder, dtype=torch.float32).eval()

    def hidden(ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = model(torch.tensor([ids])).last_hidden_state[0]
        return found

    return hidden


def plain_math_shepherd(folder: Path) -> Scores:
    """Score as the card does: ``[648, 387]`` are ``encode("+ -")[1:]``, 12902 the last of the tag.

    Only the tags that the format writes count, not those of the solution's own text.
    """
    tokenizer, logits = AutoTokenizer.from_pretrained(folder), language_model(folder)
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("\u043a\u0438")[-1]
    found = []
    for question, steps in zip(*rows(), strict=True):
        lines = [f"{step.rstrip()} \u043a\u0438{step[len(step.rstrip()) :]}" for step in steps]
        own = [step.count("\u043a\u0438") for step in steps]
        ids = tokenizer.encode(f"{question} {''.join(lines)}")
        probabilities = logits(ids)[:, candidates].softmax(dim=-1)[:, 0]
        at_tags = [probabilities[place].item() for place, token in enumerate(ids) if token == tag]
        ends = [sum(own[: index + 1]) + index for index in range(len(steps))]
        found.append([at_tags[end] for end in ends])
    return found


def plain_extra_token(folder: Path) -> Scores:
    """Score as the card does: softmax over the two outputs at each ``<extra_0>``."""
    tokenizer, hidden = AutoTokenizer.from_pretrained(folder), trunk(folder)
    tensors = _tensors(folder)
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    separator = tokenizer.encode("<extra_0>")[0]
    found = []
    for question, steps in zip(*rows(), strict=True):
        texts = [step.strip() for step in steps]
        chat = tokenizer.apply_chat_template(
            [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
                {"role": "assistant", "content": "<extra_0>".join(texts) + "<extra_0>"},
            ],
            tokenize=False,
            add_generation_prompt=False,
        )
        ids = tokenizer.encode(chat)
        inner = hidden(ids) @ tensors["score.0.weight"].T + tensors["score.0.bias"]
        outputs = inner.clamp(min=0) @ tensors["score.2.weight"].T + tensors["score.2.bias"]
        probabilities = outputs.softmax(dim=-1)[:, 1]
        at_tags = [probabilities[at].item() for at, token in enumerate(ids) if token == separator]
        ends = [
            index + sum(text.count("<extra_0>") for text in texts[: index + 1])
            for index in range(len(texts))
        ]
        found.append([at_tags[end] for end in ends])
    return found


def plain_chat_turns(folder: Path) -> Scores:
    """Score as RLHFlow's evaluation does: a pass a step, and the label third from the end."""
    tokenizer, logits = AutoTokenizer.from_pretrained(folder), language_model(folder)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    found = []
    for question, steps in zip(*rows(), strict=True):
        chat: list[dict[str, str]] = []
        scores = []
        for index, step in enumerate(steps):
            text = f"{question} {step.strip()}" if index == 0 else step.strip()
            chat += [{"role": "user", "content": text}, {"role": "assistant", "content": "+"}]
            ids = tokenizer.apply_chat_template(chat, return_dict=False)
            scores.append(logits(ids)[-3, candidates].softmax(dim=-1)[0].item())
        found.append(scores)
    return found


def plain_value_head(folder: Path) -> Scores:
    """Score as Skywork's inference does: sigmoid of the value at the newline behind a line."""
    tokenizer, hidden = AutoTokenizer.from_pretrained(folder), trunk(folder)
    tensors = _tensors(folder)
    newline = tokenizer.encode("\n")[-1]
    found = []
    for question, steps in zip(*rows(), strict=True):
        ids = tokenizer.encode(f"{tokenizer.bos_token}{question}\n")
        place_of_line = []
        for line in "".join(steps).removesuffix("\n").split("\n"):
            ids += [*(tokenizer.encode(line) if line else []), newline]
            place_of_line.append(len(ids) - 1)
        values = hidden(ids) @ tensors["v_head.summary.weight"][0] + tensors["v_head.summary.bias"]
        scores, num_lines = [], 0
        for step in steps:
            last = num_lines + step.rstrip("\n").count("\n")
            scores.append(torch.sigmoid(values[place_of_line[last]]).item())
            num_lines += step.count("\n")
        found.append(scores)
    return found


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return tensors


FORMATS: dict[str, tuple[Callable[..., Path], Callable[[Path], Scores]]] = {
    "math_shepherd": (save_math_shepherd, plain_math_shepherd),
    "extra_token": (save_extra_token, plain_extra_token),
    "chat_turns": (save_chat_turns, plain_chat_turns),
    "value_head": (save_value_head, plain_value_head),
}
"""How a checkpoint of each format is saved, and scored plainly."""

PLACE: dict[str, str] = {
    "math_shepherd": "math-shepherd-mistral-7b-prm",
    "extra_token": "any",
    "chat_turns": "models--RLHFlow--Llama3.1-8B-PRM-Deepseek-Data/snapshots/0a1b",
    "value_head": "any",
}
"""A folder in which the format is found by itself: by its name, or in any for one with a head."""


def differences(found: Sequence[Sequence[Any]], expected: Scores) -> list[float]:
    """Return the differences of all scores."""
    return [
        abs(a - b)
        for one, other in zip(found, expected, strict=True)
        for a, b in zip(one, other, strict=True)
    ]
