"""Small random checkpoints, with the project's tokenizer or another."""

from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
)

from shepherd.requests import Completion, Request
from shepherd.word_problems import draw_problems

WINDOW = 80
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": WINDOW,
}


def save_checkpoint(
    folder: Path, kind: str, tokenizer: PreTrainedTokenizerFast, **fields: object
) -> Path:
    """Save a random model of transformers' ``kind``; its likeliest tokens vary with the context."""
    torch.manual_seed(0)
    special = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    config = AutoConfig.for_model(kind, **{**SHAPE, **special, **fields})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def prompts(count: int) -> list[str]:
    """Return the prompts of word problems."""
    return [problem.question + "\n" for problem in draw_problems(3, "train", count)]


def rollouts(temperature: float, count: int = 4) -> list[Request]:
    """Return ``count`` requests of differing length for each of five prompts."""
    return [
        Request(f"{p}/{k}", prompt, seed=10 * p + k, temperature=temperature, max_tokens=8 + 3 * k)
        for p, prompt in enumerate(prompts(5))
        for k in range(count)
    ]


def stopped_halfway(request: Request, text: str) -> Request:
    """Return a request with a stop string in the middle of its unstopped text, after two others."""
    middle = len(text) // 2
    stop = text[middle - 2 : middle + 1]
    later = text[middle + 2 : middle + 4]
    others = [each for each in ("\t", later) if each and each not in stop and stop not in each]
    return request._replace(stop=(*others, stop))


def check_stopped(request: Request, completion: Completion, unstopped: Completion) -> None:
    """Check that a completion is cut at the first place of a stop string in the unstopped text."""
    ends = {text: unstopped.text.find(text) for text in request.stop if text in unstopped.text}
    stop = min(ends, key=lambda text: ends[text])
    end = ends[stop] + (len(stop) if request.keep_stop else 0)
    assert completion.text == unstopped.text[:end]
    assert completion.finish_reason == "stop"
    assert completion.num_tokens <= unstopped.num_tokens
