"""The card of an exported dataset: the README.md that the Hugging Face hub reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl


@dataclass(frozen=True)
class LabelCounts:
    """Counts of a set of labelled solutions."""

    num_solutions: int = 0
    num_correct: int = 0
    num_steps: int = 0
    num_positive: int = 0
    """Steps whose hard label is 1."""
    num_dissenting: int = 0
    """Solutions whose last label differs from their correctness; 0 for Monte Carlo labels."""
    by_dataset: Mapping[str, int] = field(default_factory=dict)
    """Solutions by dataset and annotator, as ``dataset, annotator``."""

    @classmethod
    def of(cls, labeled: pl.DataFrame) -> "LabelCounts":
        """Count rows of ``labeled_solutions``."""
        counts = labeled.group_by(pl.concat_str("dataset", "annotator", separator=", ")).len()
        last = pl.col("hard").list.last() == 1
        totals = labeled.select(
            num_solutions=pl.len(),
            num_correct=pl.col("is_correct").sum(),
            num_steps=pl.col("hard").list.len().sum(),
            num_positive=pl.col("hard").list.sum().sum(),
            num_dissenting=(last != pl.col("is_correct")).sum(),
        ).row(0, named=True)
        return cls(**totals, by_dataset=dict(counts.iter_rows()))

    def __add__(self, other: "LabelCounts") -> "LabelCounts":
        names = sorted({*self.by_dataset, *other.by_dataset})
        summed = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__dataclass_fields__
            if name != "by_dataset"
        }
        by_dataset = {n: self.by_dataset.get(n, 0) + other.by_dataset.get(n, 0) for n in names}
        return replace(self, **summed, by_dataset=by_dataset)


@dataclass(frozen=True)
class CardFacts:
    """Facts that the labels do not hold. Each mapping becomes a table of the card."""

    title: str
    license: str
    source: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    sampling: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)


def render_card(facts: CardFacts, counts: LabelCounts, file_name: str, format_name: str) -> str:
    """Return the card; its header lets ``datasets.load_dataset`` find the file."""
    share = {
        "of the solutions correct": counts.num_correct / max(1, counts.num_solutions),
        "of the steps labelled right": counts.num_positive / max(1, counts.num_steps),
        "of the last labels against the final answer": counts.num_dissenting
        / max(1, counts.num_solutions),
    }
    sections = [
        f"# {facts.title}",
        f"Math solutions with a label for each step, in the format `{format_name}`.",
        _table("Counts", {"solutions": counts.num_solutions, "steps": counts.num_steps}),
        _table("Solutions by dataset and annotator", counts.by_dataset),
        _table("Label quality", {**{f"share {k}": v for k, v in share.items()}, **facts.quality}),
        _table("Models", facts.models),
        _table("Sampling", facts.sampling),
        _table("Seed", {} if facts.seed is None else {"run seed": facts.seed}),
        _table("Cost", facts.cost),
        "\n\n".join(["## Licence of the source", facts.license, *filter(None, [facts.source])]),
    ]
    header = [
        "---",
        # JSON strings are YAML, so that a title cannot change the header.
        f"license: {json.dumps(facts.license)}",
        f"pretty_name: {json.dumps(facts.title)}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        f"    path: {json.dumps(file_name)}",
        "---",
    ]
    return "\n".join(header) + "\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def _table(title: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    rows = (f"| {name.replace('|', '/')} | {_number(value)} |" for name, value in values.items())
    return "\n".join([f"## {title}\n", "| | |", "| --- | --- |", *rows])


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "/")
