"""Compute scores with transformers on one device, and read each common prefix once.

The candidates of a problem share its question and often their first steps. A causal model's
output on a prefix does not depend on what follows, so each distinct prefix is computed once
(:mod:`training.prefix_trees`), without padding.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.nn.attention.flex_attention import create_block_mask
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    PretrainedConfig,
)

from resources.checkpoints.loading import load_weights
from shepherd.reward_formats import RewardFormat
from training.pass_threads import PassThreads, num_threads
from training.prefix_trees import Pack, pack_sequences
from training.scoring.encoders import Encoded, Labels
from training.scoring.formats import Head, is_token_classifier, read_head
from training.sharding import shard_frozen

MIN_PACK, MAX_PACK = 256, 8192
"""Bounds of the tokens of a forward pass. On a CPU attention costs their square: small models read
small packs. FlexAttention on a GPU skips the blocks in which no token attends to another."""


class EmbeddedReader:
    """A reward model that stays loaded on one device.

    It is a language model with two label tokens, a token classifier with one output, or a trunk
    with the head of its format.

    Args:
        model: checkpoint folder or hub name.
        config: its config.
        reward_format: what it reads.
        labels: the label tokens of a language model.
        dtype: precision of the weights; by default bfloat16 on a GPU and float32 on a CPU.
        device: torch device; by default the GPU if there is one.

    Raises:
        ValueError: the checkpoint is damaged, or not what its config or its format says.
    """

    def __init__(
        self,
        model: Path | str,
        config: PretrainedConfig,
        reward_format: RewardFormat,
        labels: Labels | None,
        *,
        dtype: torch.dtype | None = None,
        device: str | None = None,
    ) -> None:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        on_gpu = place.type == "cuda"
        # Many CPUs compute small products in bfloat16 more slowly than in float32.
        dtype = dtype or (torch.bfloat16 if on_gpu else torch.float32)
        self._labels = labels
        self._head: Head | None = None
        is_classifier = is_token_classifier(config)
        if labels is None:
            self._head = read_head(model, reward_format, labels, config).to(place)
        self._is_classifier = is_classifier and self._head is None
        auto_class = (
            AutoModel
            if self._head is not None
            else AutoModelForTokenClassification
            if is_classifier
            else AutoModelForCausalLM
        )
        self._model = load_weights(
            auto_class, model, dtype=dtype, attn_implementation="sdpa"
        ).eval()
        self._model.to(place)
        self._skips_blocks = on_gpu and self._model._supports_flex_attn
        if self._skips_blocks:
            self._model.set_attn_implementation("flex_attention")
        small = min(max(2 * config.hidden_size, MIN_PACK), MAX_PACK)
        self._pack_tokens = MAX_PACK if self._skips_blocks else small
        count = num_threads(self._model, place)
        self._threads = PassThreads(count) if count > 1 else None
        self._is_sharded = False

    def shard(self, accelerator: Accelerator) -> None:
        """Split the weights over the processes, which then compute their passes together."""
        self._model = shard_frozen(accelerator, self._model)
        self._is_sharded = True
        # The passes of all processes have one order.
        self._threads = None

    def probabilities(self, solutions: Sequence[Encoded]) -> Iterator[dict[int, list[float]]]:
        """Yield the probabilities at the places of some solutions, by their index, in any order."""
        packs = self._packs([solution.ids for solution in solutions])
        of_pack = partial(self._of_pack, solutions)
        yield from self._threads.map(of_pack, packs) if self._threads else map(of_pack, packs)

    def _packs(self, sequences: Sequence[list[int]]) -> Iterator[Pack]:
        """Yield the packs of sequences; take part in the passes of other processes after that."""
        packs = pack_sequences(sequences, self._pack_tokens)
        if not self._is_sharded:
            yield from packs
            return
        mine = list(packs)
        # Before the passes, in which the processes exchange weights.
        num_missing = max(gather_object([len(mine)])) - len(mine)
        yield from mine
        [one_token] = pack_sequences([[0]], self._pack_tokens)
        for _ in range(num_missing):
            self._at(one_token, [0])

    def close(self) -> None:
        """Free the model."""
        del self._model

    def _of_pack(self, solutions: Sequence[Encoded], pack: Pack) -> dict[int, list[float]]:
        """Return the probabilities at the places of a pack's solutions, by their index."""
        nodes_of = {
            index: path[solutions[index].places].tolist() for index, path in pack.paths.items()
        }
        nodes = sorted(set().union(*nodes_of.values()))
        score_of = dict(zip(nodes, self._at(pack, nodes), strict=True))
        return {index: [score_of[node] for node in at] for index, at in nodes_of.items()}

    def _at(self, pack: Pack, nodes: list[int]) -> list[float]:
        """Return sigmoid(r) at the tokens with indices ``nodes`` of a pack."""
        if not nodes and not self._is_sharded:
            return []
        # FSDP counts the versions of its tensors, which those of inference mode do not have.
        with torch.no_grad() if self._is_sharded else torch.inference_mode():
            return self._compute(pack, nodes)

    def _compute(self, pack: Pack, nodes: list[int]) -> list[float]:
        device = self._model.device
        positions = torch.tensor(nodes, dtype=torch.long, device=device)
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
        if self._head is not None:
            rewards = self._head(self._model(**inputs).last_hidden_state[0, positions])
        elif self._is_classifier:
            rewards = self._model(**inputs).logits[0, positions, 0]
        else:
            assert self._labels is not None
            logits = self._model(**inputs, logits_to_keep=positions).logits[0].float()
            rewards = logits[:, self._labels.good] - logits[:, self._labels.bad]
        probabilities: list[float] = torch.sigmoid(rewards.float()).tolist()
        return probabilities
