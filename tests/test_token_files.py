"""Examples come back from disk as they went there, in an order that is theirs alone."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.packing import IGNORED, Counts, Example
from training.token_files import TokenFiles, draw_order

EXAMPLES = [
    Example([index, 1, 2, index], [1, 2, IGNORED, IGNORED], [3], [index / 10])
    for index in range(10)
]


def plain(example: Example) -> tuple[list[int], list[int], list[int], list[float]]:
    labels = [round(label, 6) for label in example.labels]
    return list(example.ids), list(example.targets), list(example.tags), labels


def test_examples_come_back_whole(tmp_path: Path) -> None:
    files = TokenFiles.write(tmp_path, iter(EXAMPLES))
    assert sorted(map(plain, files)) == sorted(map(plain, EXAMPLES))
    assert files.lengths.tolist() == [4] * 10
    assert files.counts == Counts(targets=20, tags=10)
    assert [plain(example) for example in files[2:4]] == [plain(files[2]), plain(files[3])]


def test_the_order_in_which_they_came_leaves_no_trace(tmp_path: Path) -> None:
    shuffled = EXAMPLES.copy()
    random.Random(1).shuffle(shuffled)
    one, other = (
        TokenFiles.write(tmp_path / str(number), rows)
        for number, rows in enumerate((EXAMPLES, shuffled))
    )
    assert list(map(plain, one)) == list(map(plain, other))
    assert one.digest == other.digest
    assert TokenFiles.write(tmp_path / "fewer", EXAMPLES[1:]).digest != one.digest


def test_examples_without_tags_and_no_examples_at_all(tmp_path: Path) -> None:
    bare = Example([7, 8], [8, IGNORED], [], [])
    assert list(map(plain, TokenFiles.write(tmp_path / "bare", [bare]))) == [plain(bare)]
    assert len(TokenFiles.write(tmp_path / "none", [])) == 0


def test_each_epoch_sees_every_example_once_in_an_order_of_its_own() -> None:
    order = draw_order(10, 0, 30, seed=3)
    epochs = [order[:10], order[10:20], order[20:]]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert draw_order(10, 7, 9, seed=3) == order[7:16]
    assert draw_order(10, 0, 30, seed=4) != order


def test_files_that_are_read_never_change(tmp_path: Path) -> None:
    first = TokenFiles.write(tmp_path / "train", EXAMPLES[:1])
    before = plain(first[0])
    other = Example([9, 9, 9, 9], [9, 9, IGNORED, IGNORED], [3], [0.9])
    second = TokenFiles.write(tmp_path / "train", [other])
    assert plain(first[0]) == before
    assert plain(second[0]) == plain(other)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_a_killed_write_leaves_the_files_of_before(tmp_path: Path) -> None:
    def failing() -> Iterator[Example]:
        yield EXAMPLES[1]
        raise KeyboardInterrupt

    files = TokenFiles.write(tmp_path / "train", EXAMPLES[:1])
    with pytest.raises(KeyboardInterrupt):
        TokenFiles.write(tmp_path / "train", failing())
    assert TokenFiles(tmp_path / "train").digest == files.digest
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
