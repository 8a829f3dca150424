"""Small models in a store, and what their folder of versions holds."""

from pathlib import Path

from resources.storage.model_store import ModelStore
from resources.storage.model_versions import VERSIONS


def write_model(folder: Path, content: str) -> None:
    """Write the files of a model."""
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(content)


def save(store: ModelStore, content: str) -> Path:
    """Save the model ``weak`` and return its folder."""
    store.save("weak", lambda folder: write_model(folder, content))
    return store.path("weak")


def versions(store: ModelStore) -> list[str]:
    """Return the names in the folder of versions of the model ``weak``."""
    return sorted(path.name for path in (store.root / VERSIONS / "weak").iterdir())
