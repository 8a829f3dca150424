"""Compute the probability that one text entails another, by a sequence-classification model.

DIVERSE (arXiv 2206.02336) and others use ``FacebookAI/roberta-large-mnli`` and
``facebook/bart-large-mnli``. ``python -m training.nli`` trains a small model for word problems.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Pair = tuple[str, str]


class EntailmentModel:
    """A checkpoint that gives the probability that the first text of a pair entails the second."""

    def __init__(self, base: str | Path, *, device: str = "auto", batch_tokens: int = 16_384):
        """Load a checkpoint folder or hub name from safetensors; no code of it is run.

        A batch has at most ``batch_tokens`` tokens, padding included.

        Raises:
            ValueError: it is damaged or not what its config says; or none of its labels, or more
                than one, is ``entailment``.
        """
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        from resources.checkpoints.loading import load, load_weights

        config = load(AutoConfig, base)
        self.entailment = entailment_index(str(base), config.id2label)
        self._tokenizer = load(AutoTokenizer, base)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = (
            load_weights(
                AutoModelForSequenceClassification,
                base,
                dtype=torch.bfloat16 if device.startswith("cuda") else torch.float32,
            )
            .eval()
            .to(device)
        )
        self._batch_tokens = batch_tokens
        # Some tokenizers do not know how many positions the model has.
        self._max_length = min(self._tokenizer.model_max_length, config.max_position_embeddings)

    def __call__(self, pairs: Sequence[Pair]) -> list[float]:
        """Return the probability of entailment of each pair, in order.

        A pair that is too long for the model is cut at the end of its longer text.
        """
        import torch

        if not pairs:
            return []
        premises, hypotheses = zip(*pairs, strict=True)
        encoded = self._tokenizer(
            list(premises), list(hypotheses), truncation=True, max_length=self._max_length
        )
        lengths = [len(ids) for ids in encoded["input_ids"]]
        probabilities = [0.0] * len(pairs)
        for indices in batches_by_length(lengths, self._batch_tokens):
            rows = {name: [values[i] for i in indices] for name, values in encoded.items()}
            batch = self._tokenizer.pad(rows, return_tensors="pt").to(self._model.device)
            with torch.inference_mode():
                logits = self._model(**batch).logits.float()
            of_batch = logits.softmax(-1)[:, self.entailment].tolist()
            for index, probability in zip(indices, of_batch, strict=True):
                probabilities[index] = probability
        return probabilities


def entailment_index(name: str, id2label: Mapping[int, object]) -> int:
    """Return the index of the label ``entailment``, in upper or lower case.

    Raises:
        ValueError: no label is ``entailment``, or more than one.
    """
    indices = [index for index, label in id2label.items() if str(label).lower() == "entailment"]
    if len(indices) != 1:
        labels = ", ".join(str(label) for label in id2label.values())
        raise ValueError(
            f"{name}: {len(indices)} of its labels ({labels}) are 'entailment': take a "
            "sequence-classification checkpoint that was trained on entailment, such as "
            "FacebookAI/roberta-large-mnli, and name its labels in id2label of its config.json"
        )
    return int(indices[0])


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield indices in batches of similar length, at most ``batch_tokens`` padded tokens each.

    A text that is longer than the limit is a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
