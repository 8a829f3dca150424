"""The sizes of a profile's problems, without a download."""

from collections.abc import Iterable
from dataclasses import replace

from resources.files.problems import load_problems_of
from shepherd.settings import DatasetSettings, Settings, Split
from shepherd.settings.datasets import SPLITS
from shepherd.text_sizes import PUBLISHED_SIZES, TextSizes, sizes_of


def problem_sizes(settings: Settings, name: str) -> dict[Split, TextSizes]:
    """Return the sizes of a dataset's problems, as published or by reading its files.

    Raises:
        ValueError: a file that the profile names is missing or wrong.
    """
    dataset = settings.datasets[name]
    sizes = published_sizes(dataset)
    if sizes is not None:
        return sizes
    problems, _ = load_problems_of(settings, name)
    return {
        split: sizes_of(problems.filter(split=split), dataset.splitting.rule) for split in SPLITS
    }


def published_sizes(dataset: DatasetSettings) -> dict[Split, TextSizes] | None:
    """Return the sizes of a published dataset that is read from the hub; None for files.

    So an estimate needs no download.
    """
    if (
        dataset.train
        or dataset.test
        or (dataset.source, dataset.split, "train") not in PUBLISHED_SIZES
    ):
        return None
    limits: dict[Split, int | None] = {"train": dataset.num_train, "test": dataset.num_test}
    return {
        split: PUBLISHED_SIZES[dataset.source, dataset.split, split].at_most(limit)
        for split, limit in limits.items()
    }


def train_sizes(settings: Settings) -> dict[str, TextSizes]:
    """Return the sizes of each dataset's train problems.

    MetaMATH is left out where the hub would have to be read: its size is in no table.

    Raises:
        ValueError: as :func:`problem_sizes`.
    """
    return {
        name: problem_sizes(settings, name)["train"]
        for name, dataset in settings.datasets.items()
        if dataset.source != "metamath" or dataset.train
    }


def sum_of(sizes: Iterable[TextSizes]) -> TextSizes:
    """Return the sizes of all problems together; at least one must be given."""
    total, *others = sizes
    for other in others:
        total = replace(
            total,
            problems=total.problems + other.problems,
            questions=total.questions + other.questions,
            solutions=total.solutions + other.solutions,
            prefixes=total.prefixes + other.prefixes,
            before=total.before + other.before,
            after=total.after + other.after,
        )
    return total
