import os
import shutil
from pathlib import Path

import pytest

from resources.storage import weights
from resources.storage.weights import DIGESTS, changed_files, unknown_files, weights_identity

LONG_AGO = (0, 10**18)


def checkpoint(folder: Path, content: bytes = b"abc") -> Path:
    folder.mkdir()
    for name, data in (("model.safetensors", content), ("config.json", b"{}")):
        (folder / name).write_bytes(data)
        os.utime(folder / name, ns=LONG_AGO)
    return folder


def test_a_copy_is_the_same_model_and_other_weights_are_not(tmp_path: Path) -> None:
    original = checkpoint(tmp_path / "a")
    identity = weights_identity(original)
    copy = Path(shutil.copytree(original, tmp_path / "b", copy_function=shutil.copyfile))
    (copy / "metrics.jsonl").write_text("{}")
    (copy / "README.md").write_text("# A copy")
    assert weights_identity(copy) == weights_identity(str(copy)) == identity
    assert weights_identity(checkpoint(tmp_path / "c", b"abd")) != identity
    (copy / "chat_template.jinja").write_text("{{ x }}")
    assert weights_identity(copy) != identity
    assert weights_identity("meta-llama/Llama-2-7b-hf") == "meta-llama/Llama-2-7b-hf"


def test_weights_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint(tmp_path / "a")
    identity = weights_identity(folder)
    monkeypatch.setattr(weights, "file_digest", None)
    assert weights_identity(folder) == identity
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(TypeError):
        weights_identity(folder)


def test_a_file_written_just_now_is_read_again(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "a")
    path = folder / "model.safetensors"
    path.touch()
    stamp = path.stat().st_mtime_ns
    identity = weights_identity(folder)
    path.write_bytes(b"abd")
    os.utime(path, ns=(stamp, stamp))
    assert weights_identity(folder) != identity


@pytest.mark.parametrize(
    "broken",
    ["{", "[]", *(f'{{"config.json": {line}}}' for line in ('"2"', "1", '""', '"2 "', "null"))],
)
def test_a_broken_memory_is_written_anew(tmp_path: Path, broken: str) -> None:
    folder = checkpoint(tmp_path / "a")
    identity = weights_identity(folder)
    memory = (folder / DIGESTS).read_text()
    (folder / DIGESTS).write_text(broken)
    assert changed_files(folder) == []
    assert unknown_files(folder) == ["config.json", "model.safetensors"]
    assert weights_identity(folder) == identity
    assert (folder / DIGESTS).read_text() == memory


def test_a_folder_that_cannot_be_written_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError

    folder = checkpoint(tmp_path / "a")
    monkeypatch.setattr(weights, "replacing_file", refuse)
    assert weights_identity(folder) == weights_identity(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
