"""Read the rows of problems: published files, files with columns of their own, or the hub."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain

from resources.files.hub import hub_refusal
from resources.files.lines import Line
from resources.files.rows import read_rows
from resources.user_paths import expanded
from shepherd.datasets import (
    Problem,
    gsm8k_problem,
    mapped_problem,
    math_problem,
    metamath_problem,
)
from shepherd.settings import DatasetSettings, Split

_MATH = "DigitalLearningGmbH/MATH-lighteval"
_HUB: dict[tuple[str, str, Split], list[tuple[str, str | None, str]]] = {
    ("gsm8k", "published", "train"): [("openai/gsm8k", "main", "train")],
    ("gsm8k", "published", "test"): [("openai/gsm8k", "main", "test")],
    ("math", "published", "train"): [(_MATH, None, "train")],
    ("math", "published", "test"): [(_MATH, None, "test")],
    ("math", "lightman", "train"): [(_MATH, None, "train"), (_MATH, None, "test")],
    ("math", "lightman", "test"): [("HuggingFaceH4/MATH-500", None, "test")],
    ("metamath", "published", "train"): [("meta-math/MetaMathQA", None, "train")],
}
"""Name, configuration and split of a dataset on the hub.

Keys are the source, its split in the profile (``datasets.<name>.split``), and train or test.
"""


def problem_rows(dataset: str, settings: DatasetSettings, split: Split) -> Iterable[Line]:
    """Return the rows of a dataset's train or test problems, in the order of its files.

    Raises:
        ValueError: the profile names no files where they are needed, a file is missing or broken,
            or the hub does not give the dataset.
    """
    train = (settings.train,) if isinstance(settings.train, str) else settings.train or ()
    test = (settings.test,) if settings.test else ()
    hint = settings.unset_hint("train", "test")
    # The split lightman leaves the test problems out of train.
    reads_test = settings.has_test or settings.split == "lightman"
    if bool(train) != bool(test) and (reads_test or not train):
        raise ValueError(
            f"datasets.{dataset}: set both train and test, or neither (hub), or num_test: 0{hint}"
        )
    if not train and not test:
        hub = _HUB.get((settings.source, settings.split, split), [])
        if not hub and (split == "train" or reads_test):
            raise ValueError(f"datasets.{dataset}: set train and test to files{hint}")
        way_out = f"set datasets.{dataset}.train and .test to the published files{hint}"
        return chain.from_iterable(_hub_lines(*place, way_out) for place in hub)
    paths = train if split == "train" else test
    return chain.from_iterable(
        read_rows(expanded(path), f"datasets.{dataset}.{split}") for path in paths
    )


def parse_problem(row: object, dataset: str, split: str, settings: DatasetSettings) -> Problem:
    """Return the problem of a decoded row.

    Raises:
        ValueError: the row cannot be used; the message names the field and the reason.
    """
    match settings.source:
        case "gsm8k":
            return gsm8k_problem(row, dataset, split)
        case "math":
            return math_problem(row, dataset, split)
        case "metamath":
            return metamath_problem(row, dataset, split)
        case _:
            columns = {str(name): column for name, column in settings.columns.items()}
            return mapped_problem(row, dataset, split, columns)


def _hub_lines(name: str, config: str | None, split: str, way_out: str) -> Iterator[Line]:
    try:
        import datasets
    except ImportError as error:
        raise ValueError(
            f"{name}: to read it from the hub, pip install -c constraints.txt -e '.[hub]', "
            f"or {way_out}"
        ) from error
    if refusal := hub_refusal(name, "README.md", "dataset"):
        raise ValueError(f"{name}: {refusal}, or {way_out}")
    try:
        rows = datasets.load_dataset(name, config, split=split)
    except OSError as error:
        raise ValueError(f"{name}: cannot be read from the hub: {way_out}") from error
    for number, row in enumerate(rows, start=1):
        yield Line(f"{name}/{split}", number, json.dumps(row).encode())
