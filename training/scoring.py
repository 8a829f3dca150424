"""Score solutions with a reward model, and compute each common prefix once.

The candidates of a problem share its question and often their first steps. A causal model's
output on a prefix does not depend on what follows, so each distinct prefix is computed once
(:mod:`training.prefix_trees`), without padding.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import torch
from torch.nn.attention.flex_attention import create_block_mask
from tqdm import tqdm
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
)
from transformers.utils.logging import disable_progress_bar

from resources.checkpoints.loading import load, load_tokenizer, load_weights
from resources.storage.weights import weights_identity
from shepherd.identity import content_id
from shepherd.prompts import build_prompt, open_template
from training.prefix_trees import Pack, pack_sequences
from training.step_tags import Tags, encode_all

Kind = Literal["outcome", "process"]

_log = logging.getLogger(__name__)

MIN_PACK, MAX_PACK = 256, 8192
"""Bounds of the tokens of a forward pass. On a CPU attention costs their square: small models read
small packs. FlexAttention on a GPU skips the blocks in which no token attends to another."""


class Scorer:
    """Score solutions with a reward model that stays loaded, on the GPU if there is one.

    The checkpoint is a causal language model with the two label tokens, or a token classifier
    with one output. ``identity`` is a hash of all that scores depend on.

    Args:
        model_path: checkpoint folder or hub name.
        kind: ``process`` for a score of each step, ``outcome`` for one of the whole solution.
        template: prompt template around the question.
        max_length: most tokens of a sequence.
        dtype: precision of the weights; by default bfloat16 on a GPU and float32 on a CPU.

    Raises:
        ValueError: the checkpoint is damaged or not what its config says, the tokenizer lacks a
            tag, or the model's attention window is shorter than
            ``max_length`` (lower ``max_length``).
    """

    def __init__(
        self,
        model_path: str | Path,
        *,
        kind: Kind,
        template: str,
        max_length: int,
        dtype: torch.dtype | None = None,
    ) -> None:
        disable_progress_bar()
        self.identity = content_id(weights_identity(model_path), kind, template, str(max_length))
        on_gpu = torch.cuda.is_available()
        # Many CPUs compute small products in bfloat16 more slowly than in float32.
        dtype = dtype or (torch.bfloat16 if on_gpu else torch.float32)
        self.kind = kind
        self._max_length = max_length
        self._tokenizer = load_tokenizer(model_path)
        self._template = open_template(template, self._tokenizer)
        self._tags = Tags.of(self._tokenizer, model_path)
        config = load(AutoConfig, model_path)
        window = getattr(config, "sliding_window", None)
        if window and window < max_length:
            raise ValueError(
                f"{model_path}: attends to {window} tokens, fewer than max_length {max_length}: "
                "lower max_length of the reward model in the profile"
            )
        self._is_classifier = any("TokenClassif" in name for name in config.architectures or ())
        auto_class = (
            AutoModelForTokenClassification if self._is_classifier else AutoModelForCausalLM
        )
        self._model = load_weights(
            auto_class, model_path, dtype=dtype, attn_implementation="sdpa"
        ).eval()
        self._model.to("cuda" if on_gpu else "cpu")
        self._skips_blocks = on_gpu and self._model._supports_flex_attn
        if self._skips_blocks:
            self._model.set_attn_implementation("flex_attention")
        small = min(max(2 * config.hidden_size, MIN_PACK), MAX_PACK)
        self._pack_tokens = MAX_PACK if self._skips_blocks else small

    def score(
        self,
        questions: Sequence[str],
        steps: Sequence[Sequence[str]],
        *,
        description: str | None = None,
    ) -> list[list[float | None]]:
        """Return sigmoid(r), the probability of the label ``+``, of every step of each solution.

        An outcome reward model gives one score for the whole solution. Steps beyond
        ``max_length`` tokens are unscored (None), because the model does not read them: a warning
        says how many. ``description`` is the title of a progress bar; None shows no bar.
        """
        units = [tuple(texts) if self.kind == "process" else ("".join(texts),) for texts in steps]
        solutions = list(zip(questions, units, strict=True))
        distinct = list(dict.fromkeys(solutions))
        prompts = [build_prompt(self._template, question) for question, _ in distinct]
        examples = encode_all(
            self._tokenizer, self._tags, prompts, [unit for _, unit in distinct], self._max_length
        )
        # No score depends on tokens after the last tag.
        sequences = [list(e.ids[: e.tags[-1] + 1]) if e.tags else [] for e in examples]
        scores: dict[tuple[str, tuple[str, ...]], list[float | None]] = {}
        with tqdm(
            total=len(distinct), desc=description, unit="solution", disable=description is None
        ) as bar:
            for pack in pack_sequences(sequences, self._pack_tokens):
                tag_nodes = {
                    index: path[examples[index].tags].tolist() for index, path in pack.paths.items()
                }
                distinct_nodes = sorted(set().union(*tag_nodes.values()))
                probabilities = self._probabilities(pack, distinct_nodes)
                score_of = dict(zip(distinct_nodes, probabilities, strict=True))
                for index, nodes in tag_nodes.items():
                    num_unread = len(distinct[index][1]) - len(nodes)
                    read = [score_of[node] for node in nodes]
                    scores[distinct[index]] = [*read, *[None] * num_unread]
                bar.update(len(pack.paths))
        self._warn_of_unscored([scores[solution] for solution in solutions])
        return [list(scores[solution]) for solution in solutions]

    def _warn_of_unscored(self, scores: Sequence[Sequence[float | None]]) -> None:
        """Say how many steps the model did not read."""
        counts = [step_scores.count(None) for step_scores in scores]
        if sum(counts):
            _log.warning(
                "%d of %d steps, in %d of %d solutions, are past max_length %d and unscored: raise "
                "max_length, or score shorter solutions",
                sum(counts),
                sum(map(len, scores)),
                sum(map(bool, counts)),
                len(counts),
                self._max_length,
            )

    @torch.inference_mode()
    def _probabilities(self, pack: Pack, nodes: list[int]) -> list[float]:
        """Return sigmoid(r) at the tokens with indices ``nodes`` of a pack."""
        if not nodes:
            return []
        device = self._model.device
        positions = torch.tensor(nodes, device=device)
        mask: object  # a tensor, or FlexAttention's mask of blocks
        if self._skips_blocks:
            # A kernel is compiled for each length, so there are few lengths.
            pack = pack.padded(max(MIN_PACK, 1 << (len(pack.ids) - 1).bit_length()))
            length = len(pack.ids)
            mask = create_block_mask(pack.attends(device), None, None, length, length, str(device))
        else:
            mask = pack.attention_mask(device)[None, None]
        inputs = {
            "input_ids": torch.from_numpy(pack.ids)[None].to(device),
            "position_ids": torch.from_numpy(pack.positions)[None].to(device),
            "attention_mask": mask,
            "use_cache": False,
        }
        if self._is_classifier:
            rewards = self._model(**inputs).logits[0, positions, 0]
        else:
            logits = self._model(**inputs, logits_to_keep=positions).logits[0].float()
            rewards = logits[:, self._tags.good] - logits[:, self._tags.bad]
        probabilities: list[float] = torch.sigmoid(rewards.float()).tolist()
        return probabilities


def score_solutions(
    model_path: str | Path,
    solutions: pl.DataFrame,
    *,
    kind: Kind,
    template: str,
    max_length: int,
) -> pl.DataFrame:
    """Return (candidate_id, step_scores) for rows of (candidate_id, question, steps)."""
    scorer = Scorer(model_path, kind=kind, template=template, max_length=max_length)
    scores = scorer.score(
        solutions["question"].to_list(),
        solutions["steps"].to_list(),
        description=f"score {kind}",
    )
    return solutions.select(
        "candidate_id", pl.Series("step_scores", scores, dtype=pl.List(pl.Float64))
    )
