from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoint import save_checkpoint
from transformers import AutoModelForCausalLM

from resources.engines import decode_steps
from resources.engines.decode_steps import decode_step
from resources.engines.row_attention import ATTENTION
from resources.engines.row_cache import RowCache
from training.tokenizer import build_tokenizer

DESIGNS = {
    "llama": {"kind": "llama", "attention_bias": True, "mlp_bias": True},
    "long-llama": {
        "kind": "llama",
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        "tie_word_embeddings": True,
    },
    "mistral": {"kind": "mistral", "sliding_window": 4},
    "qwen2": {
        "kind": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 4,
        "layer_types": ["full_attention", "sliding_attention"],
    },
}


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_steps_of_known_designs_are_those_of_transformers(
    design: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_checkpoint(tmp_path, tokenizer=build_tokenizer(), **design)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=ATTENTION)
    assert type(model) in decode_steps.DESIGNS
    tokens = torch.randint(0, model.config.vocab_size, (10, 3, 1))

    @torch.inference_mode()
    def steps() -> torch.Tensor:
        cache = RowCache(model, 3)
        cache.load(0, 3, [], None)
        logits = []
        for number, token in enumerate(tokens):
            positions = cache.begin_step(np.full(3, number))
            logits.append(decode_step(model, token, positions, cache))
            cache.end_step()
        return torch.stack(logits)

    computed = steps()
    monkeypatch.setattr(decode_steps, "DESIGNS", ())
    torch.testing.assert_close(computed, steps(), rtol=1e-4, atol=1e-4)
    assert computed.shape == (10, 3, model.config.vocab_size)
