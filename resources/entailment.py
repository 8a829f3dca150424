"""Entailment between texts, by any sequence-classification checkpoint that was trained for it.

``FacebookAI/roberta-large-mnli`` and ``facebook/bart-large-mnli`` are what DIVERSE's authors and
others take; ``python -m training.nli`` trains a small one for word problems.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Pair = tuple[str, str]


class EntailmentModel:
    """A checkpoint that says how probably the first text of a pair entails the second."""

    def __init__(self, base: str | Path, *, device: str = "auto", batch_tokens: int = 16_384):
        """Load a checkpoint folder or hub name, from safetensors and without code of its own.

        ``batch_tokens`` bounds the padded tokens of a batch.

        Raises:
            ValueError: no label of its config is entailment, or several are.
        """
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

        config = AutoConfig.from_pretrained(base)
        self.entailment = entailment_index(str(base), config.id2label)
        self._tokenizer = AutoTokenizer.from_pretrained(base)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = (
            AutoModelForSequenceClassification.from_pretrained(
                base,
                dtype=torch.bfloat16 if device.startswith("cuda") else torch.float32,
                use_safetensors=True,
            )
            .eval()
            .to(device)
        )
        self._batch_tokens = batch_tokens
        # Positions run out where the tokenizer does not say so itself.
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
        shares = [0.0] * len(pairs)
        for indices in batches_by_length(lengths, self._batch_tokens):
            rows = {name: [values[i] for i in indices] for name, values in encoded.items()}
            batch = self._tokenizer.pad(rows, return_tensors="pt").to(self._model.device)
            with torch.inference_mode():
                logits = self._model(**batch).logits.float()
            found = logits.softmax(-1)[:, self.entailment].tolist()
            for index, share in zip(indices, found, strict=True):
                shares[index] = share
        return shares


def entailment_index(name: str, id2label: Mapping[int, object]) -> int:
    """Return the class of the label entailment, in whatever case it is written.

    Raises:
        ValueError: there is none, or more than one.
    """
    found = [index for index, label in id2label.items() if str(label).lower() == "entailment"]
    if len(found) != 1:
        labels = ", ".join(str(label) for label in id2label.values())
        raise ValueError(
            f"{name}: {len(found)} of its labels ({labels}) are 'entailment': take a "
            "sequence-classification checkpoint that was trained on entailment, such as "
            "FacebookAI/roberta-large-mnli, and name its labels in id2label of its config.json"
        )
    return int(found[0])


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield indices in batches of similar length, at most ``batch_tokens`` padded tokens each.

    A single text over the limit is a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
