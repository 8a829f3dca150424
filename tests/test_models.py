from pathlib import Path

import pytest

from resources import models
from resources.models import ModelStore


def test_a_model_is_there_once_it_is_written(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    with pytest.raises(ValueError, match="materialize the asset weak first"):
        store.path("weak")
    assert store.save("weak", lambda folder: (folder / "config.json").write_text("one")) == 3
    store.save("weak", lambda folder: (folder / "config.json").write_text("two"))
    assert (store.path("weak") / "config.json").read_text() == "two"
    assert [folder.name for folder in store.root.iterdir()] == ["weak"]


def test_a_failed_training_leaves_the_model_of_before(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)

    def interrupted(folder: Path) -> None:
        (folder / "config.json").write_text("half")
        raise KeyboardInterrupt

    store.save("weak", lambda folder: (folder / "config.json").write_text("one"))
    with pytest.raises(KeyboardInterrupt):
        store.save("weak", interrupted)
    assert (store.path("weak") / "config.json").read_text() == "one"
    assert [folder.name for folder in tmp_path.iterdir()] == ["weak"]


@pytest.mark.parametrize("name", ["..", "a/b", ".a", ""])
def test_a_model_name_never_becomes_another_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must match"):
        ModelStore(tmp_path).path(name)


def test_a_base_is_shipped_or_local_or_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, local = tmp_path / "shipped", tmp_path / "checkpoint"
    (shipped / "base-small").mkdir(parents=True)
    local.mkdir()
    monkeypatch.setattr(models, "BASE_MODELS", shipped)
    store = ModelStore(tmp_path / "models")
    assert store.resolve("base-small") == shipped / "base-small"
    assert store.resolve(str(local)) == local
    assert store.resolve("owner/model-7b") == "owner/model-7b"
    for wrong in ("base-smal", "../shipped", "./absent/model", "", "/absent/model"):
        with pytest.raises(ValueError, match=r"neither a shipped model \(base-small\)"):
            store.resolve(wrong)
    assert store.resolve("base-small", is_served=True) == shipped / "base-small"
    assert store.resolve("llama3:70b", is_served=True) == "llama3:70b"
