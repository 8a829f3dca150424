"""Write encoded examples to disk and read them through memory maps, for sets larger than memory."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np

from resources.storage.atomic import replacing_folder
from training.packing import Counts, Example

_PARTS = {"ids": np.int32, "targets": np.int32, "tags": np.int32, "labels": np.float32}


class TokenFiles(Sequence[Example]):
    """Examples on disk, in the order of their hashes: the order of writing does not matter."""

    lengths: np.ndarray
    """Tokens of each example, (examples,), int64."""
    counts: Counts
    """Targets and tags of the whole set."""
    digest: str
    """Hash of the whole set."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that :meth:`write` has filled."""
        index = np.load(folder / "index.npz")
        order = np.argsort(index["hashes"], kind="stable")
        self._starts = {name: index[name][:-1][order] for name in ("tokens", "tags")}
        self._ends = {name: index[name][1:][order] for name in ("tokens", "tags")}
        self._parts = {
            # An empty file cannot be mapped, and examples of SFT have no tags.
            name: np.memmap(path, dtype, mode="r") if path.stat().st_size else np.empty(0, dtype)
            for name, dtype in _PARTS.items()
            for path in [folder / name]
        }
        self.lengths = self._ends["tokens"] - self._starts["tokens"]
        self.counts = Counts(int(index["num_targets"]), len(self._parts["tags"]))
        self.digest = hashlib.blake2b(index["hashes"][order].tobytes(), digest_size=8).hexdigest()

    @classmethod
    def write(cls, folder: Path, examples: Iterable[Example]) -> "TokenFiles":
        """Write examples one by one, without holding them in memory, and open them.

        They are written aside, so that a reader of earlier files keeps what it reads.
        """
        with replacing_folder(folder) as written:
            cls._write(written, examples)
        return cls(folder)

    @classmethod
    def _write(cls, folder: Path, examples: Iterable[Example]) -> None:
        hashes: list[int] = []
        num_targets = 0
        ends: dict[str, list[int]] = {"tokens": [0], "tags": [0]}
        files = {name: (folder / name).open("wb") for name in _PARTS}
        try:
            for example in examples:
                content = hashlib.blake2b(digest_size=8)
                for name, dtype in _PARTS.items():
                    written = np.asarray(getattr(example, name), dtype).tobytes()
                    content.update(len(written).to_bytes(8) + written)
                    files[name].write(written)
                num_targets += Counts.of([example]).targets
                hashes.append(int.from_bytes(content.digest()))
                ends["tokens"].append(ends["tokens"][-1] + len(example.ids))
                ends["tags"].append(ends["tags"][-1] + len(example.tags))
        finally:
            for file in files.values():
                file.close()
        np.savez(
            folder / "index.npz",
            hashes=np.array(hashes, np.uint64),
            num_targets=num_targets,
            tokens=np.array(ends["tokens"], np.int64),
            tags=np.array(ends["tags"], np.int64),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> "list[Example]": ...
    def __getitem__(self, index: int | slice) -> "Example | list[Example]":
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]

        def part(name: str, kind: str) -> list[int]:
            first, end = self._starts[kind][index], self._ends[kind][index]
            values: list[int] = self._parts[name][first:end].tolist()
            return values

        return Example(
            part("ids", "tokens"),
            part("targets", "tokens"),
            part("tags", "tags"),
            part("labels", "tags"),
        )

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))


def draw_order(num_examples: int, first: int, count: int, seed: int) -> list[int]:
    """Return the indices of the examples at positions ``first`` to ``first + count - 1``.

    The training order is one permutation per epoch, each drawn from seed and epoch. So a run
    resumes at any position without drawing the epochs before it.
    """
    positions = (divmod(position, num_examples) for position in range(first, first + count))
    return [int(_permutation(num_examples, epoch, seed)[index]) for epoch, index in positions]


@lru_cache(maxsize=2)
def _permutation(num_examples: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_examples)
