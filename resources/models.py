"""Checkpoints: those a run trains, and the bases they start from."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from resources.folders import replacing_folder
from shepherd.settings import NAME_PATTERN

BASE_MODELS = Path(__file__).resolve().parent / "base_models"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

T = TypeVar("T")


@dataclass(frozen=True)
class ModelStore:
    """Trained checkpoints under ``root``, one folder per model."""

    root: Path

    def path(self, name: str) -> Path:
        """Return the folder of a trained model.

        Raises:
            ValueError: it was not trained yet; the message names the asset to materialize.
        """
        folder = self._folder(name)
        if not folder.is_dir():
            raise ValueError(f"no model {name!r} at {folder}: materialize the asset {name} first")
        return folder

    def save(self, name: str, writer: Callable[[Path], T]) -> T:
        """Let ``writer`` fill a new folder, then swap it in; return what the writer returns.

        If the writer fails, the model of before stays.
        """
        with replacing_folder(self._folder(name)) as written:
            return writer(written)

    def work(self, name: str) -> Path:
        """Return the folder in which a model's training keeps what it needs to be resumed."""
        folder = self._folder(name)
        return folder.with_name(f".{name}.training")

    def resolve(self, base: str, *, is_served: bool = False) -> str | Path:
        """Return where a base model lies: a shipped folder, a local folder, or the hub name.

        ``is_served``: any other name may be a server's for a model that it serves.

        Raises:
            ValueError: it is none of these.
        """
        if re.fullmatch(NAME_PATTERN, base) and (BASE_MODELS / base).is_dir():
            return BASE_MODELS / base
        local = Path(base).expanduser()
        if base and local.is_dir():
            return local
        if _HUB_NAME.fullmatch(base) and not base.startswith("."):
            return base
        if is_served and base:
            return base
        shipped = ", ".join(sorted(folder.name for folder in BASE_MODELS.glob("*/")))
        raise ValueError(
            f"base {base!r}: neither a shipped model ({shipped}), nor a local folder, nor a hub "
            "name (owner/name): correct `base` in the profile"
        )

    def _folder(self, name: str) -> Path:
        if not re.fullmatch(NAME_PATTERN, name):
            raise ValueError(f"model name {name!r} must match {NAME_PATTERN}: it becomes a folder")
        return self.root / name
